package graph

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seaworthy-dev/seaworthy"
)

// What may not come again is tried again; what a person or a programmer must change is not.
func TestRetryable(t *testing.T) {
	said := func(code string) error { return &pgconn.PgError{Code: code} }
	for _, test := range []struct {
		err  error
		want bool
	}{
		{said("40001"), true},
		{said("40P01"), true},
		{said("55P03"), true},
		{said("57P01"), true},
		{said("57P02"), true},
		{said("57P03"), true},
		{said("08006"), true},
		{said("08001"), true},
		{said("53300"), true},
		{&pgconn.PgError{Code: "23505", TableName: "pg_type"}, true},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, true},
		{errors.Join(io.ErrUnexpectedEOF), true},
		{net.ErrClosed, true},
		{said("23505"), false},
		{said("42P01"), false},
		{said("42501"), false},
		{said("53100"), false}, // a full disk: whoever waits for it should hear so
		{said("22021"), false},
		{pgx.ErrNoRows, false},
		{seaworthy.Errorf(seaworthy.NotFound, "x"), false},
		{seaworthy.Errorf(seaworthy.Stale, "x: %w", said("40001")), false},
	} {
		if got := retryable(test.err); got != test.want {
			t.Errorf("%v: %t", test.err, got)
		}
	}
}

func TestMigrations(t *testing.T) {
	all, err := allMigrations()
	if err != nil || len(all) == 0 {
		t.Fatal(err)
	}
	for i, m := range all {
		if m.version != i+1 || m.sql == "" {
			t.Errorf("%+v", m)
		}
	}
}

// The number of the predicate that the schema leaves out of an index cannot change.
func TestNumbersInTheSchema(t *testing.T) {
	if numberOfFile != 2 {
		t.Errorf("hasFile is number %d, and the schema says 2", numberOfFile)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Cache: -1}, {Connections: -1}, {Patience: -1}} {
		if _, err := Open(context.Background(), t.TempDir(), o); seaworthy.CodeOf(err) != seaworthy.Invalid {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
