# cadence_runner: sales cadences inside PostgreSQL
#
#   make && make install && make installcheck   on a PostgreSQL of your own, before it preloads the library
#   make test                                   the tests, on a bare Debian machine too
#   make test-long                              those that take longer
#   make test-sanitized                         the tests, on a PostgreSQL that checks itself
#   make demo                                   the main job, on a throwaway cluster
#   make bench                                  measures against goals, beside four others
#   make soak MINUTES=60                        kills, a provider that misbehaves, and books that balance
#   make simulate DAYS=365 LEADS=1000           a year around the rules, a week on a server with a shifted clock

EXTENSION  = cadence_runner
DATA       = cadence_runner--1.0.sql
MODULE_big = cadence_runner
PGFILEDESC = "cadence_runner - sales cadences inside PostgreSQL"

# What writes mails and reads answers, which only the transport does.
TRANSPORT_RULES = $(patsubst %,src/rules/%.c,answer_reader mail mail_reply)

# What every process that calls our functions loads. It must not need libcurl.
CORE_DIRS = base schema provider claim resolve record engine server inbound sqlapi
CORE_SRC  = src/cadence_runner.c $(wildcard $(CORE_DIRS:%=src/%/*.c)) \
            $(filter-out $(TRANSPORT_RULES),$(wildcard src/rules/*.c))
OBJS      = $(CORE_SRC:.c=.o)
# Up to 15 a library's own names are seen by others, and theirs by it: it keeps to its own.
OWN_NAMES  = -Wl,-Bsymbolic
SHLIB_LINK = -ljansson -lcrypto $(OWN_NAMES)

# The transport, which only a sending worker loads. From 16 on a library shows others nothing but
# what is marked, so what both need is in both.
DISPATCH     = cadence_runner_dispatch
SHARED_RULES = $(patsubst %,src/rules/%.c,answer_json buffer class mailbox request_builder text)
DISPATCH_SRC = $(wildcard src/transport/*.c) $(TRANSPORT_RULES) $(SHARED_RULES)
DISPATCH_OBJ = $(DISPATCH_SRC:.c=.o)
DISPATCH_LIB = $(DISPATCH)$(DLSUFFIX)

# The program that serves HTTP, where what it takes is there.
DOOR          = door/cadence_door
DOOR_SRC      = $(wildcard door/*.c)
DOOR_OBJ      = $(DOOR_SRC:.c=.o)
DOOR_PACKAGES = libmicrohttpd libpq
DOOR_VERSION  = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" cadence_runner.control)
DOOR_LIBS    := $(shell pkg-config --libs $(DOOR_PACKAGES) 2>/dev/null)
DOOR_SAMPLES  = $(addprefix door/,cadence_door.conf cadence_door.service cadence_door.socket \
                nginx.conf Caddyfile role.sql)
DASHBOARD     = $(wildcard $(addprefix dashboard/*.,css html js json svg txt))

REGRESS        = $(sort $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql)))
REGRESS_OPTS   = --inputdir=test
ISOLATION      = $(sort $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=.

PG_CPPFLAGS = -I$(srcdir)/src
EXTRA_CLEAN = $(DISPATCH_OBJ) $(DISPATCH).so $(DOOR) $(DOOR_OBJ) test/unit/build

.DEFAULT_GOAL := all

# These bring the packages that they need, so they must work before there is a pg_config.
.PHONY: test test-long test-sanitized demo bench soak simulate format format-check sql sql-check includes-check
test:
	@test/run.sh
test-long:
	@test/run.sh -l
test-sanitized:
	@test/sanitized.sh
demo:
	@demo/run.sh $(if $(LEADS),--leads '$(LEADS)') $(if $(KEEP),--keep)
bench:
	@bench/run.sh
soak:
	@test/soak/run.sh --minutes $(or $(MINUTES),5)
simulate:
	@test/simulate/run.sh --days $(or $(DAYS),365) --leads $(or $(LEADS),1000) --seed $(or $(SEED),1)

# The script is kept in parts, in the order of their names; the whole is committed, too.
SQL_PARTS = $(sort $(wildcard sql/*.sql))
PROTOCOLS = $(sort $(filter-out protocols/schema.json,$(wildcard protocols/*.json)))
sql:
	{ cat $(SQL_PARTS); sql/protocols.sh $(PROTOCOLS); } > $(DATA)
sql-check:
	{ cat $(SQL_PARTS); sql/protocols.sh $(PROTOCOLS); } | diff $(DATA) -
includes-check:
	test/includes.sh

FORMATTED = $(wildcard src/*.c src/*.h src/*/*.c src/*/*.h test/unit/*.c test/faults/*.c \
            test/*.c test/simulate/*.[ch] bench/*.c door/*.[ch])
# Another version of the formatter disagrees with itself: this is the one that counts.
CLANG_FORMAT ?= clang-format-14
format:
	$(CLANG_FORMAT) -i $(FORMATTED)
format-check:
	$(CLANG_FORMAT) --dry-run --Werror $(FORMATTED)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(wildcard $(PGXS)),)
include $(PGXS)

all: $(DISPATCH_LIB)

$(DISPATCH_LIB): $(DISPATCH_OBJ)
	$(CC) $(CFLAGS) $(DISPATCH_OBJ) $(LDFLAGS) $(LDFLAGS_SL) $(OWN_NAMES) -shared -o $@ -lcurl -ljansson

install: install-dispatch
install-dispatch: $(DISPATCH_LIB) installdirs
	$(INSTALL_SHLIB) $(DISPATCH_LIB) '$(DESTDIR)$(pkglibdir)/'
uninstall: uninstall-dispatch
uninstall-dispatch:
	rm -f '$(DESTDIR)$(pkglibdir)/$(DISPATCH_LIB)'

ifneq ($(DOOR_LIBS),)
all: $(DOOR)

$(DOOR): $(DOOR_OBJ)
	$(CC) $(CFLAGS) $(DOOR_OBJ) $(LDFLAGS) -o $@ $(DOOR_LIBS)

$(DOOR_OBJ): override CPPFLAGS += $(shell pkg-config --cflags $(DOOR_PACKAGES)) -D_GNU_SOURCE \
             -DCADENCE_VERSION='"$(DOOR_VERSION)"' -DDOOR_DASHBOARD='"$(datadir)/cadence_runner/dashboard"'
$(DOOR_OBJ): $(wildcard $(srcdir)/door/*.h)

# What is configured by hand is only put where it can be found.
install: install-door
install-door: $(DOOR)
	$(MKDIR_P) '$(DESTDIR)$(bindir)' '$(DESTDIR)$(datadir)/cadence_runner/door' \
	    '$(DESTDIR)$(datadir)/cadence_runner/dashboard'
	$(INSTALL_PROGRAM) $(DOOR) '$(DESTDIR)$(bindir)/'
	$(INSTALL_DATA) $(addprefix $(srcdir)/,$(DOOR_SAMPLES)) '$(DESTDIR)$(datadir)/cadence_runner/door/'
	sed -i 's|@bindir@|$(bindir)|' '$(DESTDIR)$(datadir)/cadence_runner/door/cadence_door.service'
	$(if $(DASHBOARD),$(INSTALL_DATA) $(DASHBOARD) '$(DESTDIR)$(datadir)/cadence_runner/dashboard/')
uninstall: uninstall-door
uninstall-door:
	rm -f '$(DESTDIR)$(bindir)/$(notdir $(DOOR))'
	rm -rf '$(DESTDIR)$(datadir)/cadence_runner'
else
all: without-door
without-door:
	@echo "cadence_door is not built: pkg-config does not find $(DOOR_PACKAGES) (see docs/door.md)"
.PHONY: without-door
endif

# Every object depends on every header: there are few, and a stale one costs an hour.
$(sort $(OBJS) $(DISPATCH_OBJ)): $(wildcard $(srcdir)/src/*.h $(srcdir)/src/*/*.h)
else
all:
	@echo "make: no pg_config found; install the server's development files, or set PG_CONFIG" >&2; exit 1
endif
