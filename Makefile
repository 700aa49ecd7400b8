# sse: `make` builds the server, a static binary ./sse; `make help` tells the rest.
#
# CC, CFLAGS, CPPFLAGS and LDFLAGS are yours: what the code cannot do without is added to them.
# Everything made goes to build/KIND/, a directory for each compiler and purpose, so that one never
# links the other's objects; V=1 shows the commands.

ifeq ($(origin CC),default) # make's own; one from the environment or the command line is kept
CC = gcc
endif
CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
UNITDIR ?= $(PREFIX)/lib/systemd/system
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
IMAGE_CC ?= musl-gcc
FUZZ_SECONDS ?= 30
SOAK_SECONDS ?= 600
JOBS ?= $(shell nproc)

PARTS = http.c ring.c $(sort $(wildcard lib/*.c lib/serve/*.c lib/host/*.c)) $(LEAN)
HELPERS = $(filter-out test/check_% test/fuzz_% test/load_% test/replay.c,$(sort $(wildcard test/*.c)))
CHECKS = $(basename $(notdir $(sort $(wildcard test/check_*.c))))
# Those that run against the release binary as well, in the sandbox as it is shipped.
SHIPPED = check_sandbox check_ways check_poll check_socket check_drain check_systemd
# Those with a case "memory": the release's memory is measured, as sanitizers need some of their own.
MEASURED = check_poll_wait check_serve_slow check_socket_many
LOADS = $(basename $(notdir $(sort $(wildcard test/load_*.c))))
FUZZERS = $(basename $(notdir $(sort $(wildcard test/fuzz_*.c))))
BENCH_KIT = $(filter-out $(addprefix bench/,bench.c load.c floor.c count.c still.c),$(sort $(wildcard bench/*.c)))
BENCHES = $(addprefix $(OUT)/bench/,bench load floor count sse-still floor-still)

WARN = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
       -Wmissing-prototypes -Wvla -Wwrite-strings -Wimplicit-fallthrough
# assert() is part of the program, whatever CFLAGS say; glibc before 2.34 has threads in another library.
BASE = -std=c11 -pthread -D_GNU_SOURCE -I. -MMD -MP $(WARN) $(CPPFLAGS) $(CFLAGS) -UNDEBUG

# Hardening. glibc warns of _FORTIFY_SOURCE without optimisation; musl has none; yours wins.
optimised = $(filter-out -O0,$(lastword $(filter -O%,$(CFLAGS))))
fortified = $(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS))$(findstring musl,$(CC))
machine := $(shell $(CC) -dumpmachine 2>/dev/null)
x86 = $(filter x86_64% i386% i486% i586% i686%,$(machine))
arm64 = $(filter aarch64%,$(machine))
HARDEN := -fPIE -fstack-protector-strong -ffunction-sections -fdata-sections \
          $(if $(x86),-fcf-protection) $(if $(arm64),-mbranch-protection=standard) \
          $(if $(fortified),,$(if $(optimised),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2))
LINK = -pthread -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--gc-sections $(LDFLAGS)

# The kinds: the release, the tests with sanitizers (musl has none), the fuzz targets (clang only).
compiler = $(subst /,_,$(subst $() ,_,$(strip $(1))))
SAN_CC = $(if $(findstring musl,$(CC)),gcc,$(CC))
FUZZ_CC = clang
OUT = build/$(call compiler,$(CC))
SAN = build/$(call compiler,$(SAN_CC))-asan
FUZZ = build/fuzz
# No call is made by a jump, so that each has a place it returns to.
sanitizers = -g -O1 -fno-omit-frame-pointer -fno-optimize-sibling-calls -fno-sanitize-recover=all \
             -fsanitize=address,undefined
$(OUT)_CC = $(CC) $(BASE) $(HARDEN)
$(SAN)_CC = $(SAN_CC) $(BASE) $(sanitizers)
$(FUZZ)_CC = $(FUZZ_CC) $(BASE) $(sanitizers),fuzzer-no-link

Q = $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2);)
# Without a jobserver or a -j from above, one of our own.
parallel = $(MAKE) --no-print-directory -O $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(JOBS))

# Both end with one line that says what is missing, where nothing can be made. The first program is
# tried, as it is linked in the end.
writable = $(if $(shell mkdir -p build 2>/dev/null && [ -w build ] && [ -w . ] && echo yes),,\
 $(error $(CURDIR) cannot be written to: build in a copy of it))
try = printf 'int main(void) { return 0; }' | $(CC) -x c - -static -o build/try
able = $(if $(wildcard $(OUT)/flags),,$(writable)$(if $(shell $(try) 2>/dev/null && \
 rm build/try && command -v gzip),,$(error $(CC) makes no static program here: install gcc, libc6-dev and gzip, as test/setup build does)))

.SUFFIXES:
.DELETE_ON_ERROR:
.PHONY: all run install uninstall image dist deb
.PHONY: test check test-pack test-npm soak lint fuzz regress bench bench-check bench-record clean help FORCE
.PHONY: for-test for-fuzz for-image for-bench for-count # what `test`, `fuzz`, `image` compile once test/setup has run

all:
	+$(able)@$(parallel) sse

# The binary of the compiler that was asked for last; one that runs is replaced, not written to.
sse: $(OUT)/sse build/last
	$(Q)install -m 755 $< $@
build/last: FORCE | $(OUT)/flags
	@echo $(OUT) | cmp -s - $@ || echo $(OUT) >$@

$(OUT)/sse $(OUT)/stripped: $(OUT)/sse.o $(PARTS:%.c=$(OUT)/%.o) $(OUT)/static
	$(call say,link,$@)$(CC) $(CFLAGS) -o $@ $(filter %.o,$^) $$(cat $(OUT)/static) $(LINK) \
	 $(if $(filter %/stripped,$@),-s)

$(SAN)/sse: $(SAN)/sse.o $(PARTS:%.c=$(SAN)/%.o)
	$(call say,link,$@)$($(SAN)_CC) -o $@ $^ $(LDFLAGS)

# One that lays its tables out in another way, which no running server may turn into.
$(SAN)/sse-other: $(SAN)/sse.o $(patsubst %/handover.o,%/handover-other.o,$(PARTS:%.c=$(SAN)/%.o))
	$(call say,link,$@)$($(SAN)_CC) -o $@ $^ $(LDFLAGS)
$(SAN)/lib/host/handover-other.o: lib/host/handover.c $(SAN)/flags
	@mkdir -p $(@D)
	$(call say,cc,$@)$($(SAN)_CC) -DHANDOVER_VERSION=99 -c -o $@ $<

# One whose system calls can be made to fail: those that test/faults.c has a __wrap_ for.
$(SAN)/sse-faults: $(SAN)/sse.o $(PARTS:%.c=$(SAN)/%.o) $(SAN)/test/faults.o
	$(call say,link,$@)$($(SAN)_CC) -o $@ $^ $(LDFLAGS) \
	 $$(nm $(SAN)/test/faults.o | sed -n 's/.* T __wrap_/-Wl,--wrap=/p')

# Static PIE where the toolchain makes one that runs, which musl's gcc does when it is told what of; a plain
# static binary elsewhere. One for another machine can't be tried: there it is what the linker makes.
$(OUT)/static: $(OUT)/flags Makefile
	@printf 'static int x; int *volatile p = &x; int main(void) { return *p; }' >$@.c
	@case $(machine) in $$(uname -m)-*) try=$@.out ;; *) try=true ;; esac; \
	 crt=$$($(CC) -\#\#\# $@.c 2>&1 | tr -s '" ' '\n\n' | sed -n 's|/S*crt1\.o$$||p'); \
	 parts="$$crt/rcrt1.o $$crt/crti.o $$crt/crtn.o"; echo -static >$@; \
	 for way in "-static -nostartfiles -Wl,-pie,--no-dynamic-linker,-z,text $$parts" -static-pie; do \
	  if $(CC) $(CFLAGS) -fPIE -o $@.out $@.c $$way $(LINK) 2>/dev/null && $$try && \
	     ! readelf -l $@.out | grep -q INTERP; \
	  then echo "$$way" >$@; fi; \
	 done; rm -f $@.c $@.out

# What a browser loads from here is in the binary packed: the same bytes each time.
build/page/%.gz: lib/% | $(OUT)/flags
	@mkdir -p $(@D)
	$(Q)gzip -9nc $< >$@

# $(eval $(call kind,DIRECTORY)): its objects, remade when its flags change, and a library of them
# for the test programs, from which each links only what it needs.
define kind
$(1)/%.o: %.c $(1)/flags
	@mkdir -p $$(@D)
	$$(call say,cc,$$@)$$($(1)_CC) -c -o $$@ $$<
$(1)/lib/page.o: build/page/page.html.gz build/page/sse.js.gz
$(1)/flags: FORCE
	$$(able)@mkdir -p $$(@D); echo '$$(subst ','\'',$$($(1)_CC) $$(LINK))' | cmp -s - $$@ || \
	 echo '$$(subst ','\'',$$($(1)_CC) $$(LINK))' >$$@
$(1)/parts.a: $(PARTS:%.c=$(1)/%.o) $(HELPERS:%.c=$(1)/%.o)
	$$(Q)rm -f $$@; ar rcs $$@ $$^
endef
$(foreach k,$(OUT) $(SAN) $(FUZZ),$(eval $(call kind,$(k))))
.PRECIOUS: %.o %.gz

$(SAN)/test/check_%: $(SAN)/test/check_%.o $(SAN)/parts.a
	$(call say,link,$@)$($(SAN)_CC) -o $@ $^ $(LDFLAGS) $$(pkg-config --libs check)

$(OUT)/test/load_%: $(OUT)/test/load_%.o $(OUT)/parts.a
	$(call say,link,$@)$(CC) $(CFLAGS) -o $@ $^ -pie $(LINK)

$(OUT)/bench/kit.a: $(BENCH_KIT:%.c=$(OUT)/%.o)
	$(Q)rm -f $@; ar rcs $@ $^
$(addprefix $(OUT)/bench/,bench load floor count): %: %.o $(OUT)/bench/kit.a
	$(call say,link,$@)$(CC) $(CFLAGS) -o $@ $^ -pie $(LINK) -lm

# The server and the floor, for which time stands still and chance is always the same: what they do
# depends on their input alone. Valgrind can't read the debugging information of newer clangs.
STILL = $(if $(findstring clang,$(CC)),-Xlinker --strip-debug) $(OUT)/bench/still.o -Wl,--wrap=clock_gettime,--wrap=getrandom,--wrap=epoll_wait
$(OUT)/bench/sse-still: $(OUT)/sse.o $(PARTS:%.c=$(OUT)/%.o) $(OUT)/static $(OUT)/bench/still.o
	$(call say,link,$@)$(CC) $(CFLAGS) -o $@ $(filter-out %/still.o,$(filter %.o,$^)) $(STILL) $$(cat $(OUT)/static) $(LINK)
$(OUT)/bench/floor-still: $(OUT)/bench/floor.o $(OUT)/bench/kit.a $(OUT)/static $(OUT)/bench/still.o
	$(call say,link,$@)$(CC) $(CFLAGS) -o $@ $(OUT)/bench/floor.o $(OUT)/bench/kit.a $(STILL) $$(cat $(OUT)/static) $(LINK)
COUNT = $(OUT)/bench/count $(OUT)/bench/sse-still "$$($(CC) --version | head -n 1)" '$(CFLAGS)' bench/instructions
# A fuzz target without a fuzzer, for a machine that there is none for.
$(OUT)/test/fuzz_%: $(OUT)/test/fuzz_%.o $(OUT)/test/replay.o $(OUT)/parts.a
	$(call say,link,$@)$(CC) $(CFLAGS) -o $@ $^ $$(cat $(OUT)/static) $(LINK)

$(FUZZ)/%: $(FUZZ)/test/%.o $(FUZZ)/parts.a
	$(call say,link,$@)$(FUZZ_CC) $(sanitizers),fuzzer -o $@ $^

run: all ## builds and starts the server: make run ARGS="--port 9000"
	./sse $(ARGS)

# What is installed besides the binary, FILE:PLACE; and the units, which name the binary.
PLACES = README.md:$(PREFIX)/share/doc/sse/README.md \
         sse.1:$(PREFIX)/share/man/man1/sse.1 debian/sse.zsh:$(ZSHDIR)/_sse \
         debian/sse.bash:$(PREFIX)/share/bash-completion/completions/sse \
         debian/sse.fish:$(PREFIX)/share/fish/vendor_completions.d/sse.fish
UNITS = sse.service sse.socket
BINARY = sse

export DESTDIR # the shell has it as it is, with its blanks and quotes
install: $(BINARY) ## binary, man page, units, completions into $(DESTDIR)$(PREFIX), /usr/local
	$(Q)install -D -m 755 $(BINARY) "$$DESTDIR$(PREFIX)/bin/sse"
	$(Q)for p in $(PLACES); do install -D -m 644 $${p%%:*} "$$DESTDIR$${p#*:}" || exit; done
	$(Q)for u in $(UNITS); do install -D -m 644 debian/$$u "$$DESTDIR$(UNITDIR)/$$u" && \
	  sed -i 's|/usr/bin/sse|$(PREFIX)/bin/sse|' "$$DESTDIR$(UNITDIR)/$$u" || exit; done

uninstall: ## takes it away again
	@for f in $(PREFIX)/bin/sse $(foreach p,$(PLACES),$(lastword $(subst :, ,$(p)))) \
	 $(UNITS:%=$(UNITDIR)/%); do echo "rm -f $$DESTDIR$$f" && rm -f "$$DESTDIR$$f" || exit; done

# ---- packages: all that is made for them is in build/

VERSION = $(shell sed -n 's/.*"sse \([0-9][0-9.]*\)\\n".*/\1/p' lib/opt.c)
TARBALL = sse-$(VERSION)-linux-$(firstword $(subst -, ,$(machine)))

# A small binary: see lib/lean/. SMALL is what of it not every compiler knows. Its canaries guard what has
# arrays of characters, of 4 bytes and up: those for all whose address is taken would be 9 KB of it.
SMALL = -Oz -flto -flto-partition=one
IMAGE = OUT=build/image-$(call compiler,$(IMAGE_CC)) CC='$(IMAGE_CC)' LEAN=lib/lean/assert.c \
        CPPFLAGS='-Ilib/lean -DLEAN' LDFLAGS=-Wl,-z,noseparate-code \
        HARDEN='$(strip $(subst -strong, --param=ssp-buffer-size=4,$(HARDEN)))'

# The context is a directory with the binary alone. An engine counts as there when it answers.
image: ## a container image `sse`, with docker, podman or buildah: the first that works, or ENGINE
	$(writable)@test/setup image
	+@small=-Os; ! $(IMAGE_CC) $(SMALL) -Werror -c -x c -o /dev/null /dev/null 2>/dev/null || small='$(SMALL)'; \
	 $(parallel) $(IMAGE) CFLAGS="$$small -fno-asynchronous-unwind-tables" for-image
	@set -e; options=; run='docker run --rm -p 8080:8080'; engine='$(ENGINE)'; \
	 for e in docker podman; do \
	  [ -n "$$engine" ] || ! $$e info >/dev/null 2>&1 || engine=$$e; \
	 done; \
	 case $${engine:=buildah} in \
	 podman) options='--format docker'; run='podman run --rm -p 8080:8080' ;; \
	 buildah) options='--isolation chroot --format docker'; run='buildah run --isolation chroot'; \
	 esac; \
	 $$engine build $$options -t sse -t sse:$(VERSION) -f Containerfile build/image; \
	 case $$engine in buildah) run="$$run \$$(buildah from sse) /sse" ;; *) run="$$run sse" ;; esac; \
	 echo "the image is sse; to run it: $$run --anonymous publish,subscribe"
for-image: $(OUT)/stripped
	@mkdir -p build/image && install -m 755 $< build/image/sse

# The same bytes each time: no times and names but those of the sources, which are the commit's in a
# clone. git tells them of another user's clone, as root may make it, where its owner's is said to be
# safe: whose Makefile runs may be asked for a time. All its versions read that from a file in HOME.
COMMITTED = mkdir -p build/home && git config --file build/home/.gitconfig safe.directory "$$(pwd -P)" && \
            HOME=$$PWD/build/home git log -1 --no-show-signature --format=%ct
dist: $(OUT)/stripped ## a tarball of what `make install` installs, build/sse-VERSION-linux-MACHINE.tar.gz
	@rm -rf build/dist
	@$(MAKE) --no-print-directory install BINARY=$< DESTDIR=build/dist PREFIX=/usr/local
	@mv build/dist/usr/local build/dist/$(TARBALL)
	@epoch=$${SOURCE_DATE_EPOCH:-$$(if [ -e .git ]; then $(COMMITTED); else \
	  find . -path ./build -prune -o ! -name sse -type f -printf '%T@\n' | sort -n | tail -n 1; fi)}; \
	 case $$epoch in '' | *[!0-9.]*) \
	  echo 'make dist: neither git nor SOURCE_DATE_EPOCH tells a time for what is in it' >&2; exit 1; \
	 esac; rm -rf build/home; \
	 tar -C build/dist --format=gnu --sort=name --mtime=@$${epoch%.*} --mode=u=rwX,go=rX \
	  --owner=0 --group=0 --numeric-owner -cf build/dist.tar $(TARBALL)
	@gzip -9n <build/dist.tar >build/$(TARBALL).tar.gz && rm -r build/dist build/dist.tar
	@echo build/$(TARBALL).tar.gz

deb: ## a Debian package, build/deb/sse_VERSION_ARCHITECTURE.deb
	$(writable)@test/setup deb
	@rm -rf build/deb && mkdir -p build/deb/sse-$(VERSION)
	@tar --exclude=./build --exclude=./sse --exclude=./.git -cf - . | tar -C build/deb/sse-$(VERSION) -xf -
	@cd build/deb/sse-$(VERSION) && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS \
	  dpkg-buildpackage -b -us -uc $(DEB_FLAGS) >../log 2>&1 || { cat ../log; exit 1; }
	@rm -r build/deb/sse-$(VERSION) && ls build/deb/*.deb

check: test
test: ## installs what is missing (as root), then runs every test
	$(writable)@test/setup test
	@mkdir -p build
	+@$(parallel) V=$(V) for-test for-fuzz >build/test.log 2>&1 || { cat build/test.log; exit 1; }
	@test/fuzz 0 $(FUZZERS:%=$(FUZZ)/%) | SSE_BIN=$(SAN)/sse \
	 test/run $(CHECKS:%=$(SAN)/test/%) $(SHIPPED:%='SSE_BIN=$(OUT)/sse $(SAN)/test/%') \
	 $(MEASURED:%='SSE_BIN=$(OUT)/sse CK_RUN_CASE=memory $(SAN)/test/%') - -- $(LOADS:%='$(OUT)/test/% $(OUT)/sse')

test-pack: ## packages, images, another machine: installs what is missing (as root), tries them
	@test/setup pack
	@test/pack

test-npm: sse ## clients and gateways of the npm registry: installs what is missing (as root)
	@test/setup npm
	@test/npm/run

soak: $(OUT)/test/load_soak sse ## churn of everything for SOAK_SECONDS, 600
	$(OUT)/test/load_soak $(OUT)/sse $(SOAK_SECONDS)

bench: ## measures all of bench/README.md: QUICK=1, ONLY=sse, KEEP=1 (in bench/)
	@bench/setup bench
	+@$(parallel) V=$(V) for-bench
	@$(OUT)/bench/bench $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) \
	 --commit "$$(git describe --always --dirty 2>/dev/null || echo unknown)" \
	 --json build/bench.json --markdown build/bench.md --svg build/bench.svg \
	 $(if $(KEEP),--into bench/README.md --svg bench/results.svg --json bench/results.json)

bench-check: ## counts instructions, and fails where they have grown
	@bench/setup count
	+@$(parallel) V=$(V) for-count
	@$(COUNT)

bench-record: ## writes these down in bench/instructions
	@bench/setup count
	+@$(parallel) V=$(V) for-count
	@$(COUNT) record

for-bench: $(OUT)/sse $(BENCHES)
for-count: $(addprefix $(OUT)/bench/,count sse-still)

lint: ## warnings as errors, clang-tidy, cppcheck, format, scripts, layers, README
	$(writable)@test/setup lint
	@test/lint

fuzz: ## each fuzz target for FUZZ_SECONDS, 30
	$(writable)@test/setup test
	+@$(parallel) for-fuzz
	@test/fuzz $(FUZZ_SECONDS) $(FUZZERS:%=$(FUZZ)/%) | \
	 JOBS=$(JOBS) TEST_SECONDS=$$(($(FUZZ_SECONDS) + 1800)) test/run -

regress: ## replays the fuzz targets' corpus and what they once failed on
	$(writable)@test/setup test
	+@$(parallel) for-fuzz
	@test/fuzz 0 $(FUZZERS:%=$(FUZZ)/%) | test/run -

for-test: sse $(LOADS:%=$(OUT)/test/%) $(SAN)/sse $(SAN)/sse-other $(SAN)/sse-faults $(CHECKS:%=$(SAN)/test/%)
for-fuzz: $(FUZZERS:%=$(FUZZ)/%)

clean: ## removes all that was made
	rm -rf build sse

help: ## this
	@echo 'make            builds ./sse; CC=clang, CC=musl-gcc, CFLAGS="-O3" are heard'
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/make \1#\2/p' Makefile | \
	 while IFS='#' read -r a b; do printf '%-15s %s\n' "$$a" "$$b"; done

-include $(foreach d,build/* build/lint/*,$(wildcard $(d)/*.d $(d)/lib/*.d $(d)/lib/serve/*.d $(d)/lib/host/*.d $(d)/lib/lean/*.d $(d)/test/*.d $(d)/bench/*.d))
