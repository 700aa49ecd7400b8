# sse: `make` builds the server, a static binary ./sse; `make help` lists the rest.
#
# CC, CFLAGS, CPPFLAGS and LDFLAGS are yours: what the code cannot do without is added to them.
# What installs and packs it is in debian/package.mk, the tests are in test/test.mk, the benches in
# bench/bench.mk. Everything made goes to build/KIND/, a directory for each compiler and purpose, so that one never
# links the other's objects; V=1 shows the commands.

ifeq ($(origin CC),default) # make's own; one from the environment or the command line is kept
CC = gcc
endif
CFLAGS ?= -O2 -g
JOBS ?= $(shell nproc)

PARTS = http.c ring.c $(sort $(filter-out lib/lean/%,$(wildcard lib/*.c lib/*/*.c))) $(LEAN)
HELPERS = $(filter-out test/kit/replay.c,$(sort $(wildcard test/kit/*.c)))

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
.PHONY: all run clean help FORCE

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

# What the binary has in itself is packed, the same bytes each time: what a browser loads, without indentation and
# lines of comment, a style without blanks besides, and what --help says.
build/page/%: lib/serve/% Makefile | $(OUT)/flags
	@mkdir -p $(@D)
	$(Q)sed -e 's/^ *//; /^$$/d; /^\/\/ /d; s/ \/\/ [^"`]*$$//' \
	 -e '/<style>/,/<\/style>/{s/\([{:;,]\) /\1/g; s/ {/{/g; s/;* *}/}/g;}' $< >$@
build/page/%.gz: build/page/%
	$(Q)gzip -9nc $< >$@
build/page/help.gz: lib/cli/help.txt | $(OUT)/flags
	@mkdir -p $(@D)
	$(Q)gzip -9nc $< >$@

# $(eval $(call kind,DIRECTORY)): its objects, remade when its flags change, and a library of them
# for the test programs, from which each links only what it needs.
define kind
$(1)/%.o: %.c $(1)/flags
	@mkdir -p $$(@D)
	$$(call say,cc,$$@)$$($(1)_CC) -c -o $$@ $$<
$(1)/lib/serve/page.o: build/page/page.html.gz build/page/sse.js.gz
$(1)/lib/cli/help.o: build/page/help.gz
$(1)/flags: FORCE
	$$(able)@mkdir -p $$(@D); echo '$$(subst ','\'',$$($(1)_CC) $$(LINK))' | cmp -s - $$@ || \
	 echo '$$(subst ','\'',$$($(1)_CC) $$(LINK))' >$$@
$(1)/parts.a: $(PARTS:%.c=$(1)/%.o) $(HELPERS:%.c=$(1)/%.o)
	$$(Q)rm -f $$@; ar rcs $$@ $$^
endef
$(foreach k,$(OUT) $(SAN) $(FUZZ),$(eval $(call kind,$(k))))
.PRECIOUS: %.o %.gz build/page/%

run: all ## builds and starts the server: make run ARGS="--port 9000"
	./sse $(ARGS)

clean: ## removes all that was made
	rm -rf build sse

help: ## this
	@echo 'make            builds ./sse; CC=clang, CC=musl-gcc, CFLAGS="-O3" are heard'
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/make \1#\2/p' $(filter-out %.d,$(MAKEFILE_LIST)) | \
	 while IFS='#' read -r a b; do printf '%-15s %s\n' "$$a" "$$b"; done

include debian/package.mk test/test.mk bench/bench.mk
-include $(shell find build -path build/chroots -prune -o -path build/deb -prune -o -name '*.d' -print 2>/dev/null)
