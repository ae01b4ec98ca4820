package ledger

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("LEDGER_TEST_WRITER"); dir != "" {
		write(dir, os.Getenv("LEDGER_TEST_KEY"), os.Getenv("LEDGER_TEST_ROUND"))
		return
	}
	os.Exit(m.Run())
}

// write adds entries until it is killed, and says of each that was acknowledged which index and hash it has.
func write(dir, seed, round string) {
	raw, err := hex.DecodeString(seed)
	if err != nil {
		panic(err)
	}
	l, err := Open(context.Background(), filepath.Join(dir, "log"), "log.example", ed25519.NewKeyFromSeed(raw), Options{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var out sync.Mutex
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			c := newClient(writerT{})
			for i := 0; ; i++ {
				e, err := l.Submit(context.Background(), c.request(writerT{}, fmt.Sprint(round, w, i)))
				out.Lock()
				if err != nil {
					fmt.Println("error", err)
				} else {
					fmt.Printf("ack %d %x\n", e.GetLogIndex(), rfc6962.DefaultHasher.HashLeaf(e.GetCanonicalizedBody()))
				}
				out.Unlock()
			}
		})
	}
	writers.Wait()
}

// writerT is what the helpers of tests need, in a process that is no test.
type writerT struct{ testing.TB }

func (writerT) Helper()           {}
func (writerT) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// A process that is killed under load has lost nothing that it acknowledged, and given no index twice. SOAK is how
// many times.
func TestKilledLogsLoseNothing(t *testing.T) {
	rounds := 3
	if n, err := strconv.Atoi(os.Getenv("SOAK")); err == nil {
		rounds = n
	}
	dir, key := t.TempDir(), newKey(t)
	m := &Monitor{Log: Folder{Path: filepath.Join(dir, "log")}, Origin: "log.example", Verifier: checker(t, key)}
	acked := map[int64]string{}
	for round := range rounds {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), "LEDGER_TEST_WRITER="+dir, "LEDGER_TEST_KEY="+hex.EncodeToString(key.Seed()), "LEDGER_TEST_ROUND="+strconv.Itoa(round))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		killAfter := 1 + rand.IntN(200) // acknowledgements, and then a moment, so that it dies anywhere in a batch
		for n := 0; lines.Scan(); n++ {
			var at int64
			var hash string
			if _, err := fmt.Sscanf(lines.Text(), "ack %d %s", &at, &hash); err != nil {
				t.Fatalf("round %d: %q", round, lines.Text())
			}
			if n == 0 && time.Since(started) > 5*time.Second {
				t.Errorf("round %d: it took %s to start", round, time.Since(started))
			}
			if other, ok := acked[at]; ok {
				t.Errorf("round %d: index %d was given to %s and %s", round, at, other, hash)
			}
			acked[at] = hash
			if n == killAfter {
				moment := time.Duration(rand.IntN(5000)) * time.Microsecond
				time.AfterFunc(moment, func() { _ = cmd.Process.Kill() })
			}
		}
		_ = cmd.Wait() // it was killed
		if _, err := m.Look(t.Context()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	l := open(t, dir, key, Options{})
	if err := l.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	for at, hash := range acked {
		e, err := l.Entry(t.Context(), uint64(at))
		if err != nil {
			t.Fatalf("entry %d: %v", at, err)
		}
		proven(t, key, e)
		if got := hex.EncodeToString(rfc6962.DefaultHasher.HashLeaf(e.GetCanonicalizedBody())); got != hash {
			t.Errorf("entry %d is %s, and %s was acknowledged", at, got, hash)
		}
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	checked, err := Fsck(t.Context(), Folder{Path: filepath.Join(dir, "log")}, "log.example", checker(t, key), false)
	if err != nil || len(checked.Problems) > 0 {
		t.Errorf("%+v %v", checked, err)
	}
	t.Logf("%d rounds, %d entries acknowledged, %d in the log", rounds, len(acked), checked.Entries)
}
