package storetest

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// writerDir makes this test binary a writer that can be killed.
const writerDir = "SEAWORTHY_TEST_WRITER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerDir); dir != "" {
		if err := writeUntilKilled(dir, os.Getenv(writerDir+"_ROUND")); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(Main(m))
}

// killedSize is how many subjects the killed world has.
const killedSize = 60

// killedEntry is the nth document of a writer in a round: it says of few subjects what others say, too, and queues a
// job of its own.
func killedEntry(round, writer, n int) graph.Entry {
	number := (round*100+writer)*10_000 + n
	e := document(number, killedSize, source(11, number))
	e.Jobs = []graph.Job{{ID: fmt.Sprint("follows ", number), Kind: "match", Urgency: graph.EventWork}}
	return e
}

// writeUntilKilled puts documents from several goroutines, replaces and deletes some, and says what was acknowledged.
func writeUntilKilled(dir, roundText string) error {
	round, err := strconv.Atoi(roundText)
	if err != nil {
		return err
	}
	s, err := graph.Open(context.Background(), dir, graph.Options{Cache: 1 << 20})
	if err != nil {
		return err
	}
	fmt.Println("open")
	var out sync.Mutex
	say := func(format string, args ...any) {
		out.Lock()
		defer out.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	var writers sync.WaitGroup
	for w := range 6 {
		writers.Go(func() {
			for n := 0; ; n++ {
				e := killedEntry(round, w, n)
				if _, err := s.Put(context.Background(), e); err != nil {
					say("error %v", err)
					return
				}
				say("put %d %d %d", round, w, n)
				if n%5 != 4 {
					continue
				}
				say("deleting %d %d %d", round, w, n-1)
				if err := s.Delete(context.Background(), graph.DocumentID(killedEntry(round, w, n-1).Document.Digest)); err != nil {
					say("error %v", err)
					return
				}
				say("deleted %d %d %d", round, w, n-1)
			}
		})
	}
	writers.Wait()
	return nil
}

// roundsOfFolder is how often a writer is killed on one folder: all that is in it is looked at after each.
const roundsOfFolder = 25

// TestKill kills a writer under load, at random points, again and again on the same folder. What was acknowledged must
// be there and whole, and what was deleted must be gone; nothing may be there in part. SOAK=200 makes it 200 rounds.
func TestKill(t *testing.T) {
	rounds := 3
	if s := os.Getenv("SOAK"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal("SOAK:", err)
		}
	}
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	const there, gone, either = 1, 2, 3
	var dir string
	var state map[[3]int]int
	first, acknowledged := 0, 0
	for round := range rounds {
		if round%roundsOfFolder == 0 {
			dir, state, first = filepath.Join(t.TempDir(), "graph"), map[[3]int]int{}, round
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), writerDir+"="+dir, writerDir+"_ROUND="+strconv.Itoa(round))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		started := time.Now()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		killAfter := 1 + rand.IntN(300) // lines, and then a moment, so that it dies anywhere in a change
		for n := 0; lines.Scan(); n++ {
			var what string
			var at [3]int
			if lines.Text() == "open" {
				if took := time.Since(started); took > 5*time.Second {
					t.Errorf("round %d: it took %s to open", round, took)
				}
				if round == first {
					if _, err := graph.Open(t.Context(), dir, graph.Options{}); seaworthy.CodeOf(err) != seaworthy.Conflict {
						t.Errorf("opened beside another process: %v", err)
					}
				}
				continue
			}
			if _, err := fmt.Sscanf(lines.Text(), "%s %d %d %d", &what, &at[0], &at[1], &at[2]); err != nil {
				t.Fatalf("round %d: %q", round, lines.Text())
			}
			if state[at] == 0 {
				acknowledged++
			}
			state[at] = map[string]int{"put": there, "deleted": gone, "deleting": either}[what]
			if n == killAfter {
				moment := time.Duration(rand.IntN(5000)) * time.Microsecond
				time.AfterFunc(moment, func() { _ = cmd.Process.Kill() })
			}
		}
		_ = cmd.Wait() // it was killed
		s := open(t, dir, graph.Options{Cache: 1 << 20})
		m := graph.NewMemory()
		documents := 0
		for r := first; r <= round; r++ {
			for w := range 6 {
				for n := 0; ; n++ {
					e := killedEntry(r, w, n)
					_, err := s.Body(t.Context(), e.Document.Digest)
					known := state[[3]int{r, w, n}]
					switch {
					case err == nil && known == gone:
						t.Errorf("round %d: %d %d %d was deleted, and is there", round, r, w, n)
					case err != nil && known == there:
						t.Errorf("round %d: %d %d %d was acknowledged: %v", round, r, w, n, err)
					}
					if err == nil {
						documents++
						if _, err := m.Put(t.Context(), e); err != nil {
							t.Fatal(err)
						}
					} else if known == 0 {
						break // of what was not acknowledged, one may be there
					}
				}
			}
		}
		stats, err := s.Stats(t.Context())
		if err != nil || stats.Documents != int64(documents) {
			t.Errorf("round %d: %d documents, of which %d are known: %v", round, stats.Documents, documents, err)
		}
		alike(t, m, s)
		sound(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	t.Logf("%d rounds, %d documents acknowledged, none lost", rounds, acknowledged)
}
