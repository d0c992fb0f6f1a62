# toto: `make help` lists the targets.
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= gcc
SAN ?=
V ?= 0
BUILD ?= build

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wwrite-strings
CFLAGS ?= -O3 -g
ALL_CFLAGS := -std=c11 -D_POSIX_C_SOURCE=200809L -ffp-contract=off -fno-math-errno -fPIE $(WARNINGS) $(WERROR) $(CFLAGS)
LIBS := -lcsv -largtable2 -ljansson -lnettle -ldl -lpthread -lm
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
LIB_OBJECTS := $(patsubst src/%.c,$(BUILD)/%.o,$(filter-out $(CLI_SOURCES),$(SOURCES)))
CLI_OBJECTS := $(patsubst src/%.c,$(BUILD)/%.o,$(wildcard $(CLI_SOURCES)))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))
OPS_TESTS := $(patsubst tests/ops/%.c,$(BUILD)/tests/ops/%,$(wildcard tests/ops/test_*.c))
GOLDEN := $(patsubst tests/golden/%.c,$(BUILD)/tests/golden/%,$(wildcard tests/golden/golden.c))

all: $(BUILD)/toto

$(BUILD)/toto: $(CLI_OBJECTS) $(BUILD)/libtoto.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/libtoto.a: $(LIB_OBJECTS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/%.o: src/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/%: tests/%.c $(BUILD)/libtoto.a
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -Isrc -MMD -MP -o $@ $< $(BUILD)/libtoto.a -lcmocka $(LIBS)

unit: $(UNIT_TESTS)
	@for t in $^; do echo "$$t"; $$t || exit 1; done

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.PHONY: all unit clean
