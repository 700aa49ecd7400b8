/*
 * replay.c - runs a fuzz target over the files in directories, as libFuzzer does with -runs=0: on a
 * machine that is emulated, for which there is no libFuzzer.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned inputs;

static _Noreturn void die(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(1);
}

/* Runs it over one file, in heap memory of just its size. */
static void replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) == -1)
        die(path);
    long size = ftell(f);
    uint8_t *bytes = malloc(size > 0 ? (size_t)size : 1);
    rewind(f);
    if (size < 0 || bytes == NULL || fread(bytes, 1, (size_t)size, f) != (size_t)size)
        die(path);
    fclose(f);
    if (LLVMFuzzerTestOneInput(bytes, (size_t)size) != 0)
        die(path);
    free(bytes);
    inputs++;
}

int main(int argc, char **argv)
{
    char path[4096];
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (dir == NULL)
            die(argv[i]);
        for (struct dirent *e; (e = readdir(dir)) != NULL;)
            if (e->d_name[0] != '.') {
                snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
                replay_file(path);
            }
        closedir(dir);
    }
    printf("replayed %u inputs\n", inputs);
    return inputs == 0;
}
