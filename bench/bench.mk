# The benches: included by the Makefile at the root. bench/README.md has the method and the results.

BENCH_KIT = $(filter-out $(addprefix bench/,bench.c load.c floor.c count.c still.c crowd.c),$(sort $(wildcard bench/*.c)))
BENCHES = $(addprefix $(OUT)/bench/,bench load floor count crowd sse-still floor-still)

.PHONY: bench bench-check bench-record
.PHONY: for-bench for-count # what these compile once bench/setup has run

$(OUT)/bench/kit.a: $(BENCH_KIT:%.c=$(OUT)/%.o)
	$(Q)rm -f $@; ar rcs $@ $^
$(addprefix $(OUT)/bench/,bench load floor count crowd): %: %.o $(OUT)/bench/kit.a
	$(call say,link,$@)$(CC) $(CFLAGS) -o $@ $^ -pie $(LINK) -lm

# The server and the floor, for which time stands still and chance is always the same: what they do
# depends on their input alone. Valgrind can't read the debugging information of newer clangs.
STILL = $(if $(findstring clang,$(CC)),-Xlinker --strip-debug) $(OUT)/bench/still.o -Wl,--wrap=clock_gettime,--wrap=getrandom,--wrap=epoll_wait
$(OUT)/bench/sse-still: $(OUT)/sse.o $(PARTS:%.c=$(OUT)/%.o) $(OUT)/static $(OUT)/bench/still.o
	$(call say,link,$@)$(CC) $(CFLAGS) -o $@ $(filter-out %/still.o,$(filter %.o,$^)) $(STILL) $$(cat $(OUT)/static) $(LINK)
$(OUT)/bench/floor-still: $(OUT)/bench/floor.o $(OUT)/bench/kit.a $(OUT)/static $(OUT)/bench/still.o
	$(call say,link,$@)$(CC) $(CFLAGS) -o $@ $(OUT)/bench/floor.o $(OUT)/bench/kit.a $(STILL) $$(cat $(OUT)/static) $(LINK)
COUNT = $(OUT)/bench/count $(OUT)/bench/sse-still "$$($(CC) --version | head -n 1)" '$(CFLAGS)' bench/instructions

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
