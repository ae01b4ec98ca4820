package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Postgres is a PostgreSQL server of the tests' own, on a socket in a temporary folder.
type Postgres struct {
	dir, bin string
	owner    *owner // nil: this user
	fsync    string // on or off

	mu        sync.Mutex
	process   *os.Process
	ended     chan struct{} // closed when process has ended
	databases int
}

// sharedServer is a server that all tests of a process use.
type sharedServer struct {
	once   sync.Once
	server *Postgres
	err    error
}

var shared, durable sharedServer

// errNoPostgres is why a test that needs PostgreSQL is skipped.
var errNoPostgres = errors.New("PostgreSQL is not installed (Debian: apt-get install postgresql); set PG_BIN to the folder of initdb if it is elsewhere")

// StartPostgres gives the server of this test process, which is started when it is first asked for. Main stops it.
// The test is skipped when PostgreSQL is not installed.
func StartPostgres(t testing.TB) *Postgres {
	t.Helper()
	return shared.start(t, false)
}

// StartDurablePostgres is StartPostgres for benchmarks: a server of its own, which syncs every commit to the disk.
func StartDurablePostgres(t testing.TB) *Postgres {
	t.Helper()
	return durable.start(t, true)
}

func (s *sharedServer) start(t testing.TB, syncs bool) *Postgres {
	t.Helper()
	s.once.Do(func() { s.server, s.err = newPostgres(syncs) })
	if errors.Is(s.err, errNoPostgres) {
		t.Skip(s.err)
	}
	if s.err != nil {
		t.Fatal("starting PostgreSQL: ", s.err)
	}
	return s.server
}

// Main runs the tests of a package and stops what StartPostgres started. TestMain calls it.
func Main(m *testing.M) int {
	status := m.Run()
	for _, s := range []*Postgres{shared.server, durable.server} {
		if s != nil {
			s.stop(syscall.SIGQUIT)
			_ = os.RemoveAll(s.dir)
		}
	}
	return status
}

// postgresFolder finds where initdb is: in the PATH, or where Debian keeps one for each version.
func postgresFolder() (string, error) {
	if dir := os.Getenv("PG_BIN"); dir != "" {
		return dir, nil
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(initdb), nil
	}
	all, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(all) == 0 {
		return "", errNoPostgres
	}
	slices.SortFunc(all, func(a, b string) int { return len(a) - len(b) + strings.Compare(a, b) })
	return filepath.Dir(all[len(all)-1]), nil
}

// newPostgres makes a server in a folder of its own. One that does not sync is faster, and loses nothing as long as the
// machine stays up.
func newPostgres(syncs bool) (*Postgres, error) {
	bin, err := postgresFolder()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	p := &Postgres{dir: dir, bin: bin, fsync: "off"}
	if syncs {
		p.fsync = "on"
	}
	if err := p.start(true); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return p, nil
}

func (p *Postgres) start(initial bool) error {
	if initial {
		var err error
		if p.owner, err = unprivileged(); err != nil {
			return err
		}
		if p.owner != nil {
			if err := os.Chown(p.dir, p.owner.uid, p.owner.gid); err != nil {
				return err
			}
		}
		initdb := p.command("initdb", "-D", filepath.Join(p.dir, "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
		if out, err := initdb.CombinedOutput(); err != nil {
			return fmt.Errorf("initdb: %w: %s", err, out)
		}
	}
	server := p.command("postgres", "-D", filepath.Join(p.dir, "data"), "-k", p.dir, "-c", "listen_addresses=", "-c", "fsync="+p.fsync,
		"-c", "full_page_writes="+p.fsync, "-c", "shared_buffers=64MB", "-c", "max_connections=60", "-c", "max_wal_size=1GB", "-c", "log_min_messages=fatal", "-c", "log_min_error_statement=fatal")
	var said bytes.Buffer
	server.Stdout, server.Stderr = &said, &said
	started, ended := make(chan error), make(chan struct{})
	go func() {
		// The server is told to end when the thread that started it does: that must be when the tests end.
		runtime.LockOSThread()
		err := server.Start()
		started <- err
		if err == nil {
			_ = server.Wait()
			close(ended)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	p.mu.Lock()
	p.process, p.ended = server.Process, ended
	p.mu.Unlock()
	if err := p.ready(ended); err != nil {
		p.stop(syscall.SIGQUIT)
		return fmt.Errorf("%w: %s", err, said.String())
	}
	return nil
}

func (p *Postgres) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.bin, program), args...)
	cmd.Dir, cmd.Env = p.dir, append(os.Environ(), "LC_ALL=C", "HOME="+p.dir)
	cmd.SysProcAttr = attributes(p.owner)
	return cmd
}

// ready waits until the server takes connections.
func (p *Postgres) ready(ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		db, err := pgx.Connect(ctx, p.URL("postgres"))
		if err == nil {
			return db.Close(ctx)
		}
		pause := time.NewTimer(20 * time.Millisecond) // there is no event to wait for
		select {
		case <-ended:
			return errors.New("PostgreSQL has ended")
		case <-ctx.Done():
			return err
		case <-pause.C:
		}
	}
}

func (p *Postgres) stop(how os.Signal) {
	p.mu.Lock()
	process, ended := p.process, p.ended
	p.process = nil
	p.mu.Unlock()
	if process != nil {
		_ = process.Signal(how)
		<-ended
	}
}

// Restart ends the server at once, as a crash would, and starts it again: pg_ctl restart -m immediate.
func (p *Postgres) Restart() error {
	p.stop(syscall.SIGQUIT)
	return p.start(false)
}

// URL is where a database is.
func (p *Postgres) URL(database string) string {
	return "postgres://postgres@/" + database + "?host=" + p.dir
}

// Database makes a new database, and says where it is.
func (p *Postgres) Database(t testing.TB) string {
	t.Helper()
	p.mu.Lock()
	p.databases++
	name := fmt.Sprint("test", p.databases)
	p.mu.Unlock()
	p.Exec(t, "postgres", "CREATE DATABASE "+name)
	return p.URL(name)
}

// Exec runs SQL in a database.
func (p *Postgres) Exec(t testing.TB, database, sql string) {
	t.Helper()
	ctx := context.Background()
	db, err := pgx.Connect(ctx, p.URL(database))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(ctx)
	if _, err := db.Exec(ctx, sql); err != nil {
		t.Fatal(err)
	}
}
