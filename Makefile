# cadence_runner: sales cadences inside PostgreSQL
#
#   make && make install && make installcheck   on a PostgreSQL of your own
#   make test                                   every test, on a bare Debian machine too
#   make demo                                   the main job, on a throwaway cluster
#   make bench                                  steps per second, beside a plain loop and a Node worker

EXTENSION  = cadence_runner
DATA       = cadence_runner--1.0.sql
MODULE_big = cadence_runner
PGFILEDESC = "cadence_runner - sales cadences inside PostgreSQL"

# What every process that calls our functions loads. It must not need libcurl.
OBJS = $(CORE_SRC:.c=.o)
CORE_SRC = $(addprefix src/,cadence_runner.c settings.c extension.c tables.c launcher.c worker.c \
	pipeline.c transaction.c claim.c resolve.c queue.c record.c runlog.c summary.c \
	provider.c validator.c options.c template.c render.c preview.c plan.c sqltext.c text.c)

# The transport, which only a sending worker loads.
DISPATCH     = cadence_runner_dispatch
DISPATCH_SRC = $(addprefix src/,dispatch.c webhook.c outcome.c address.c)
DISPATCH_OBJ = $(DISPATCH_SRC:.c=.o)

REGRESS        = $(sort $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql)))
REGRESS_OPTS   = --inputdir=test
ISOLATION      = $(sort $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=.
TAP_TESTS      = 1

PG_CPPFLAGS = -I$(srcdir)/src
EXTRA_CLEAN = $(DISPATCH_OBJ) $(DISPATCH)$(DLSUFFIX) test/unit/build

.DEFAULT_GOAL := all

# These four bring the packages that they need, so they must work before there is a pg_config.
.PHONY: test demo bench format format-check
test:
	@test/run.sh
demo:
	@demo/run.sh $(if $(LEADS),--leads '$(LEADS)') $(if $(KEEP),--keep)
bench:
	@bench/run.sh

FORMATTED = $(wildcard src/*.c src/*.h test/unit/*.c bench/*.c)
format:
	clang-format -i $(FORMATTED)
format-check:
	clang-format --dry-run --Werror $(FORMATTED)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(wildcard $(PGXS)),)
include $(PGXS)
endif
