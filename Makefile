# toto: `make help` lists the targets.
PREFIX ?= /usr/local
DESTDIR ?=
SAN ?=
V ?= 0
UPDATE ?= 0
BUILD ?= build
ifeq ($(origin CC),default)
CC := gcc
endif

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wwrite-strings
CFLAGS ?= -O3 -g
ALL_CFLAGS := -std=c11 -D_POSIX_C_SOURCE=200809L -ffp-contract=off -fno-math-errno -fPIE \
	$(WARNINGS) $(WERROR) $(CFLAGS)
# What scripts/probe-packages.sh found: archives where there are any, so that the program needs none of them to run.
LIBS = $$(cat $(BUILD)/packages) -ldl -lpthread -lm
ALL_LDFLAGS := -pie $(LDFLAGS)
ifneq ($(SAN),)
ALL_CFLAGS += -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
ALL_LDFLAGS += -fsanitize=$(SAN)
endif
ifeq ($(V),0)
Q := @
say = @echo "  $(1) $(2)"
endif

SOURCES := $(wildcard src/*/*.c src/*/*/*.c)
CLI_SOURCES := src/main.c $(wildcard src/commands/*.c)
LIB_OBJECTS := $(patsubst src/%.c,$(BUILD)/%.o,$(filter-out $(CLI_SOURCES),$(SOURCES))) \
	$(BUILD)/gen/kernels_embedded.o
CLI_OBJECTS := $(patsubst src/%.c,$(BUILD)/%.o,$(CLI_SOURCES))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
OPS_TESTS := $(patsubst tests/ops/%.c,$(BUILD)/tests/ops/%,$(wildcard tests/ops/test_*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
GOLDEN := $(BUILD)/tests/golden/golden
MAN_PAGES := $(wildcard man/*.1)

all: $(BUILD)/toto

$(BUILD)/toto: $(CLI_OBJECTS) $(BUILD)/libtoto.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(CLI_OBJECTS) $(BUILD)/libtoto.a $(LIBS)

$(BUILD)/libtoto.a: $(LIB_OBJECTS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $(LIB_OBJECTS)

$(BUILD)/gen/kernels_embedded.c: scripts/embed_kernels.sh kernels $(wildcard kernels/* kernels/*/*)
	$(call say,EMBED,$@)
	@mkdir -p $(@D)
	$(Q)sh scripts/embed_kernels.sh kernels > $@

$(BUILD)/gen/%.o: $(BUILD)/gen/%.c $(BUILD)/flags
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -Isrc -MMD -MP -c -o $@ $<

$(BUILD)/%.o: src/%.c $(BUILD)/flags $(BUILD)/packages
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/model/builtin.o: data/model/config.json data/model/model.safetensors

# The compiler and its flags; what they build is built again when they change.
$(BUILD)/flags: FORCE
	@mkdir -p $(BUILD)
	@printf '%s\n' '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' | cmp -s - $@ || \
		printf '%s\n' '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)' > $@

# Packages are looked for once a build folder and compiler; the files hold what links them.
PROBE = CC='$(CC)' LDFLAGS='$(ALL_LDFLAGS)' sh scripts/probe-packages.sh
$(BUILD)/packages: $(BUILD)/flags scripts/probe-packages.sh
	@$(PROBE) csv argtable2 jansson nettle opencl > $@

$(BUILD)/packages-test: $(BUILD)/packages
	@$(PROBE) cmocka > $@

$(GOLDEN): tests/golden/golden.c $(BUILD)/libtoto.a $(BUILD)/packages-test
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -Isrc -o $@ $(filter %.c %.a,$^) $(LIBS)

$(BUILD)/tests/%: tests/%.c $(BUILD)/libtoto.a $(BUILD)/packages-test
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -Isrc -MMD -MP -o $@ $< $(BUILD)/libtoto.a \
		$$(cat $(BUILD)/packages-test) $(LIBS)

# ---- Tests ---------------------------------------------------------------------------------------
TOTO = $(abspath $(BUILD)/toto)
CHECK = V=$(V) sh scripts/check.sh
CHECK_CLI = TOTO=$(TOTO) UPDATE=$(UPDATE) sh tests/cli/run.sh
PYTHON ?= python3
CHECK_TRAIN = 'TOTO=$(TOTO) $(PYTHON) tests/train.py'
CHECK_SOURCE = 'CC="$(CC)" sh tests/headers.sh' 'sh tests/includes.sh' 'TOTO=$(TOTO) sh tests/options.sh' \
	'TOTO=$(TOTO) sh tests/man_examples.sh' 'TOTO=$(TOTO) sh tests/library.sh'
CHECK_BARE = 'TOTO=$(TOTO) sh tests/bare.sh'

# The full-size cases take models of up to 625 MB (2.0 GB in all), made once; builds with sanitizers leave them out.
FULL_SIZE_DIR ?= build/full-size
TOTO2_MODELS = 4m_f32 4m_bf16 22m_f32 313m_bf16
CHECK_GOLDEN = '$(GOLDEN) tests/golden/toto1 tests/golden/toto2'
ifeq ($(SAN),)
FULL_SIZE := $(patsubst %,$(FULL_SIZE_DIR)/%/model.safetensors,f32 f16 bf16 $(TOTO2_MODELS))
CHECK_GOLDEN += '$(GOLDEN) --base $(FULL_SIZE_DIR) tests/golden/toto1/base' \
	'$(GOLDEN) --base $(FULL_SIZE_DIR) tests/golden/toto2/4m tests/golden/toto2/sizes'
endif

check: $(UNIT_TESTS) $(OPS_TESTS) $(GOLDEN) $(FULL_SIZE) $(BUILD)/toto
	@$(CHECK) $(UNIT_TESTS) $(OPS_TESTS) $(CHECK_SOURCE) '$(CHECK_CLI)' $(CHECK_BARE) $(CHECK_GOLDEN)

$(patsubst %,$(FULL_SIZE_DIR)/%/model.safetensors,$(TOTO2_MODELS)): $(FULL_SIZE_DIR)/%/model.safetensors: \
		| $(BUILD)/tests/golden/make_toto2
	$(call say,MODEL,$@)
	@mkdir -p $(@D)
	$(Q)$(BUILD)/tests/golden/make_toto2 $(@D) $*

$(FULL_SIZE_DIR)/%/model.safetensors: | $(BUILD)/tests/golden/make_toto1_base
	$(call say,MODEL,$@)
	@mkdir -p $(@D)
	$(Q)$(BUILD)/tests/golden/make_toto1_base $(@D) $*

check-unit: $(UNIT_TESTS)
	@$(CHECK) $(UNIT_TESTS)

check-ops: $(OPS_TESTS)
	@$(CHECK) $(OPS_TESTS)

# The kernels where a device has no float64 and friends, and on a simulator that watches memory.
MASK = fp64,fp16,local32k,group256
DEVICE_TESTS = $(filter $(BUILD)/tests/ops/test_devices_% $(BUILD)/tests/ops/test_patch_tokens \
	$(BUILD)/tests/ops/test_quantile_patch,$(OPS_TESTS))
check-kernels: $(OPS_TESTS)
	@$(CHECK) $(patsubst %,'TOTO_OPENCL_MASK=$(MASK) %',$(DEVICE_TESTS)) \
		'sh tests/oclgrind.sh $(BUILD)/tests/ops'

check-golden: $(GOLDEN) $(FULL_SIZE)
	@$(CHECK) $(CHECK_GOLDEN)

# All golden data on an OpenCL device (PoCL unless another is named); TOTO_OPENCL_MASK takes abilities from it.
OPENCL_DEVICE ?= portable
check-opencl: $(GOLDEN)
	@$(CHECK) '$(GOLDEN) --device $(OPENCL_DEVICE) tests/golden/toto1 tests/golden/toto2'

check-cli: $(BUILD)/toto
	@$(CHECK) '$(CHECK_CLI)' $(CHECK_BARE)

check-source: $(BUILD)/toto
	@$(CHECK) $(CHECK_SOURCE)

# The trainer on a tiny setting; without PyTorch it is skipped.
check-train: $(BUILD)/toto
	@$(CHECK) $(CHECK_TRAIN)

bench: $(BUILD)/toto $(FULL_SIZE_DIR)/f32/model.safetensors
	@TOTO=$(TOTO) sh scripts/bench.sh $(FULL_SIZE_DIR)/f32

# Coverage guides through the rooms that read; over the kernels it would take clang minutes a file.
FUZZ_SECONDS ?= 60
ifeq ($(FUZZ),1)
$(patsubst src/%.c,$(BUILD)/%.o,$(wildcard src/base/*.c src/table/*.c src/series/*.c src/checkpoint/*.c)): \
	ALL_CFLAGS += -fsanitize=fuzzer-no-link
endif
fuzz:
	@$(MAKE) --no-print-directory CC=clang CFLAGS='-O1 -g' SAN=address,undefined FUZZ=1 \
		BUILD=$(BUILD)-fuzz fuzzers
	@set -e; for f in $(patsubst $(BUILD)/%,$(BUILD)-fuzz/%,$(FUZZERS)); do \
		echo "$$f"; mkdir -p $$f.corpus; \
		$$f -max_total_time=$(FUZZ_SECONDS) $$f.corpus tests/fuzz/seeds/$${f##*/fuzz_}; done

fuzzers: $(FUZZERS)

$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $(BUILD)/libtoto.a
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -fsanitize=fuzzer -Isrc -MMD -MP -o $@ $< $(BUILD)/libtoto.a $(LIBS)

# ---- Install -------------------------------------------------------------------------------------
BIN_DIR = $(DESTDIR)$(PREFIX)/bin
MAN_DIR = $(DESTDIR)$(PREFIX)/share/man/man1
BASH_DIR = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
ZSH_DIR = $(DESTDIR)$(PREFIX)/share/zsh/site-functions

install: $(BUILD)/toto
	install -d $(BIN_DIR) $(MAN_DIR) $(BASH_DIR) $(ZSH_DIR)
	install -s -m 755 $(BUILD)/toto $(BIN_DIR)/toto
	install -m 644 $(MAN_PAGES) $(MAN_DIR)
	install -m 644 scripts/completion/toto.bash $(BASH_DIR)/toto
	install -m 644 scripts/completion/_toto $(ZSH_DIR)/_toto

uninstall:
	rm -f $(BIN_DIR)/toto $(addprefix $(MAN_DIR)/,$(notdir $(MAN_PAGES))) $(BASH_DIR)/toto $(ZSH_DIR)/_toto

clean:
	rm -rf $(BUILD) $(BUILD)-fuzz

help:
	@echo 'make [TARGET]... [NAME=VALUE]...'
	@echo ''
	@echo '  all           the program, $(BUILD)/toto (default)'
	@echo '  check         all tests; ends with "N passed, N failed"'
	@echo '  check-unit, check-ops, check-golden, check-cli, check-source   a part of them'
	@echo '  check-train   the trainer on a tiny setting (PyTorch)'
	@echo '  check-kernels the OpenCL kernels without float64 and friends, and on Oclgrind'
	@echo '  check-opencl  golden data on OPENCL_DEVICE, PoCL by default'
	@echo '  bench         times forecasts of the full-size model and of the built-in one'
	@echo '  fuzz          feeds random input to the readers for FUZZ_SECONDS each (clang)'
	@echo '  install       to DESTDIR and PREFIX, stripped; uninstall removes it'
	@echo '  clean         removes what was built'
	@echo ''
	@echo '  CC=gcc|clang  SAN=address,undefined  WERROR=-Werror  V=1 (show commands)'
	@echo '  PREFIX=$(PREFIX)  DESTDIR=  BUILD=$(BUILD)  UPDATE=1 (check-cli rewrites what it expects)'

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.PRECIOUS: $(BUILD)/tests/golden/make_toto1_base
.DELETE_ON_ERROR:
FORCE:
.PHONY: all check check-unit check-ops check-kernels check-golden check-opencl check-cli check-source check-train bench \
	fuzz fuzzers install uninstall clean help FORCE
