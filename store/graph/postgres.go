package graph

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seaworthy-dev/seaworthy"
)

// database is a Store in PostgreSQL, or in a database that speaks like it: it uses INSERT … ON CONFLICT DO NOTHING,
// = ANY, ranges of indexes and row locks, and nothing that a distributed engine would lack.
//
// Every change first takes a lock on the one row of graph_schema, shared to add documents, exclusive to take something
// away: so nothing is added about a subject while it is being forgotten. What is added is sorted, so that writers
// that wait for one another do so in one order.
type database struct {
	pool    *pgxpool.Pool
	o       Options
	name    string // of the database, for people: without a password
	version int
}

var _ Store = (*database)(nil)

//go:embed migrations/*.sql
var migrations embed.FS

// migration is one step of the schema. There is no way back.
type migration struct {
	version int
	sql     string
}

// allMigrations reads the migrations of this program: files named NNNN_what.sql.
func allMigrations() ([]migration, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	all := make([]migration, len(names))
	for i, name := range names {
		digits, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		if all[i].version, err = strconv.Atoi(digits); err != nil || all[i].version != i+1 {
			return nil, seaworthy.Errorf(seaworthy.Internal, "the migration %q is not number %d", name, i+1)
		}
		b, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all[i].sql = string(b)
	}
	return all, nil
}

func openPostgres(ctx context.Context, where string, o Options) (Store, error) {
	config, err := pgxpool.ParseConfig(where)
	if err != nil {
		// The error would have the whole URL in it, password and all.
		return nil, seaworthy.Errorf(seaworthy.Invalid, "opening the graph in PostgreSQL: the URL cannot be read").
			WithHint("it looks like postgres://user@host:5432/database; a password is better in ~/.pgpass or PGPASSWORD")
	}
	config.MaxConns = int32(o.Connections)
	config.ConnConfig.RuntimeParams["application_name"] = "seaworthy"
	if o.ReadOnly {
		config.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	}
	config.MaxConnIdleTime = 5 * time.Minute
	d := &database{o: o, name: config.ConnConfig.Host + "/" + config.ConnConfig.Database}
	all, err := allMigrations()
	if err != nil {
		return nil, err
	}
	d.version = len(all)
	if d.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, d.failed(err, "opening the graph in PostgreSQL")
	}
	if err := d.migrate(ctx, all); err != nil {
		d.pool.Close()
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "opening the graph in %q", d.name)
	}
	return d, nil
}

// migrate brings the schema to the version of this program. Several programs may do so at once.
func (d *database) migrate(ctx context.Context, all []migration) error {
	if d.o.ReadOnly {
		return d.read(ctx, "reading the version of the schema", func(tx pgx.Tx) error {
			version, err := schemaVersion(ctx, tx, "")
			if err == nil && version < d.version {
				err = seaworthy.Errorf(seaworthy.Stale, "its schema is version %d, and this program needs %d", version, d.version).WithHint("open it for writing once")
			}
			return err
		})
	}
	return d.write(ctx, "making the schema", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS graph_schema (one boolean PRIMARY KEY DEFAULT true CHECK (one), version int NOT NULL)`)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO graph_schema (version) VALUES (0) ON CONFLICT DO NOTHING`); err != nil {
			return err
		}
		version, err := schemaVersion(ctx, tx, "FOR UPDATE")
		if err != nil {
			return err
		}
		if version > len(all) {
			return newer(version, len(all))
		}
		for _, m := range all[version:] {
			if _, err := tx.Exec(ctx, m.sql); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `UPDATE graph_schema SET version = $1 WHERE version <> $1`, len(all))
		return err
	})
}

func newer(version, known int) error {
	return seaworthy.Errorf(seaworthy.Stale, "the schema is version %d, and this program knows %d", version, known).
		WithHint("use the program that wrote it, or a newer one")
}

// schemaVersion reads the version, and locks it as told.
func schemaVersion(ctx context.Context, tx pgx.Tx, lock string) (version int, err error) {
	err = tx.QueryRow(ctx, `SELECT version FROM graph_schema `+lock).Scan(&version)
	return version, err
}

// enter takes the lock that every change takes first: shared to add, exclusive to take away.
func (d *database) enter(ctx context.Context, tx pgx.Tx, lock string) error {
	version, err := schemaVersion(ctx, tx, lock)
	if err == nil && version != d.version {
		err = newer(version, d.version)
	}
	return err
}

const (
	toAdd  = "FOR SHARE"
	toTake = "FOR UPDATE"
)

// Close closes the connections.
func (d *database) Close() error {
	d.pool.Close()
	return nil
}

// write runs a transaction, and runs it again when something broke it off that may not happen again: a serialization
// failure, a deadlock, a server that restarts or a connection that breaks. do must do the same each time.
func (d *database) write(ctx context.Context, doing string, do func(pgx.Tx) error) error {
	if d.o.ReadOnly {
		return seaworthy.Errorf(seaworthy.Forbidden, "%s: the graph in %q is open for reading only", doing, d.name)
	}
	return d.again(ctx, doing, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}, do)
}

// read runs a transaction that sees one state.
func (d *database) read(ctx context.Context, doing string, do func(pgx.Tx) error) error {
	return d.again(ctx, doing, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, do)
}

const (
	firstWait = 10 * time.Millisecond
	maxWait   = time.Second
)

func (d *database) again(ctx context.Context, doing string, o pgx.TxOptions, do func(pgx.Tx) error) error {
	began := time.Now()
	for wait := firstWait; ; wait = min(2*wait, maxWait) {
		err := pgx.BeginTxFunc(ctx, d.pool, o, do)
		if err == nil || !retryable(err) || ctx.Err() != nil || time.Since(began)+wait > d.o.Patience {
			return d.failed(err, "%s", doing)
		}
		pause := time.NewTimer(wait/2 + rand.N(wait)) // so that those who met do not meet again
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

// retryable says whether an error may not come again.
func retryable(err error) bool {
	var own *seaworthy.Error
	if errors.As(err, &own) {
		return false
	}
	var said *pgconn.PgError
	if errors.As(err, &said) {
		switch {
		case strings.HasPrefix(said.Code, "08"): // connection exception
			return true
		case slices.Contains([]string{
			"40001", // serialization_failure
			"40P01", // deadlock_detected
			"55P03", // lock_not_available
			"57P01", // admin_shutdown
			"57P02", // crash_shutdown
			"57P03", // cannot_connect_now
			"57P05", // idle_session_timeout
			"53300", // too_many_connections
			"25006", // read_only_sql_transaction: a standby that is about to take over
			"XX000", // internal_error, by which distributed engines ask for another try
		}, said.Code):
			return true
		case said.Code == "23505" && strings.HasPrefix(said.TableName, "pg_"): // two make the same table
			return true
		}
		return false
	}
	var network net.Error
	var connecting *pgconn.ConnectError
	return errors.As(err, &network) || errors.As(err, &connecting) || pgconn.SafeToRetry(err) || errors.Is(err, net.ErrClosed) ||
		strings.Contains(err.Error(), "unexpected EOF") || strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "connection reset")
}

// failed gives errors of the database the code Storage.
func (d *database) failed(err error, doing string, args ...any) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var own *seaworthy.Error
	if errors.As(err, &own) {
		return err
	}
	wrapped := seaworthy.Errorf(seaworthy.Storage, doing+": %w", append(args, err)...)
	var said *pgconn.PgError
	switch {
	case errors.As(err, &said) && said.Code == "53100":
		return wrapped.WithHint("the disk of the database is full")
	case errors.As(err, &said) && said.Code == "42501":
		return wrapped.WithHint("the user of the database may not do that")
	case retryable(err):
		return wrapped.WithHint("is PostgreSQL running, and are address, user and password right?")
	}
	return wrapped
}
