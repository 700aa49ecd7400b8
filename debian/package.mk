# What installs and packs sse: included by the Makefile at the root.

PREFIX ?= /usr/local
UNITDIR ?= $(PREFIX)/lib/systemd/system
ZSHDIR ?= $(PREFIX)/share/zsh/site-functions
IMAGE_CC ?= musl-gcc

.PHONY: install uninstall image for-image dist deb

# What is installed besides the binary, FILE:PLACE; and the units, which name the binary.
PLACES = README.md:$(PREFIX)/share/doc/sse/README.md \
         sse.1:$(PREFIX)/share/man/man1/sse.1 debian/sse.zsh:$(ZSHDIR)/_sse \
         debian/sse.bash:$(PREFIX)/share/bash-completion/completions/sse \
         debian/sse.fish:$(PREFIX)/share/fish/vendor_completions.d/sse.fish \
         $(foreach f,alerts.yml dashboard.json kubernetes.yaml,debian/examples/$(f):$(PREFIX)/share/doc/sse/examples/$(f))
UNITS = sse.service sse.socket sse-keys.service sse-keys.timer
BINARY = sse

export DESTDIR # the shell has it as it is, with its blanks and quotes
install: $(BINARY) ## binary, man page, units, completions, examples into $(DESTDIR)$(PREFIX), /usr/local
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

# A small binary: see lib/lean/. SMALL is what of it not every compiler knows; each of its flags was measured. Its
# canaries guard what has arrays of characters, of 4 bytes and up: those for all whose address is
# taken would be 9 KB of it. musl applies no RELRO to a static PIE, so that its padding would be for nothing.
SMALL = -Oz -flto -flto-partition=one -fno-partial-inlining -fno-inline-functions-called-once \
        -fno-expensive-optimizations -fno-caller-saves -fno-move-loop-invariants -fno-tree-loop-im \
        -fno-if-conversion -fno-optimize-sibling-calls -fno-ipa-sra $(if $(x86),-malign-data=abi)
IMAGE = OUT=build/image-$(call compiler,$(IMAGE_CC)) CC='$(IMAGE_CC)' LEAN=lib/lean/assert.c \
        CPPFLAGS='-Ilib/lean -DLEAN' LDFLAGS='-Wl,-z,noseparate-code -Wl,-z,norelro' \
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
