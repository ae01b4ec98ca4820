package console

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgressOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := NewProgress(&Stream{Writer: &out, Terminal: true}, false)
		quick := p.Start("quick", 10, Things)
		time.Sleep(900 * time.Millisecond)
		quick.Add(10)
		quick.Done()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if out.Len() != 0 {
			t.Errorf("a bar for less than a second: %q", out.String())
		}
		slow := p.Start("layer\x1b[2J", 2_000_000, Bytes)
		slow.Add(500_000)
		time.Sleep(3 * time.Second)
		if _, err := p.Write([]byte("a warning\n")); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
		slow.Add(1_500_000) // full is not the same as done
		time.Sleep(time.Second)
		slow.Done()
		slow.Done()
		p.Close()
		p.Close()
		got := out.String()
		for _, want := range []string{`layer\x1b[2J`, "500.0 kB of 2.0 MB (25 %)", "2.0 MB of 2.0 MB (100 %)", "a warning\n"} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is not shown in %q", want, got)
			}
		}
		if p.Start("late", 1, Things) != nil {
			t.Error("a bar after Close")
		}
	})
}

func TestProgressElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := NewProgress(&Stream{Writer: &out}, false)
		bar := p.Start("counting", 0, Things)
		bar.Add(7)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if out.Len() != 0 {
			t.Errorf("a line before ten seconds: %q", out.String())
		}
		bar.SetTotal(14)
		for range 4 {
			defer p.Start("more", 0, Things).Done()
		}
		time.Sleep(12 * time.Second)
		bar.Done()
		time.Sleep(time.Second)
		p.Close()
		want := "counting: 7 of 14 (50 %), 10s; more: 0, 1s; more: 0, 1s; and 2 more\n" +
			"counting: 7 of 14 (50 %), 20s; more: 0, 11s; more: 0, 11s; and 2 more\n"
		if out.String() != want {
			t.Errorf("lines:\n%swant:\n%s", out.String(), want)
		}
	})
}

func TestProgressFromManyGoroutines(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			p := NewProgress(&Stream{Writer: &out, Terminal: terminal}, false)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					bar := p.Start("work", 100, Things)
					defer bar.Done()
					for range 100 {
						bar.Add(1)
						time.Sleep(50 * time.Millisecond)
					}
				})
			}
			all.Wait()
			p.Close()
		})
	}
}

func TestQuietProgress(t *testing.T) {
	var out bytes.Buffer
	p := NewProgress(&Stream{Writer: &out}, true)
	bar := p.Start("work", 1, Things)
	bar.Add(1)
	bar.SetTotal(2)
	bar.Done()
	p.Close()
	var none *Progress
	none.Start("work", 1, Things).Done()
	none.Close()
	if bar != nil || out.Len() != 0 {
		t.Errorf("quiet: %v %q", bar, out.String())
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 1_500_000: "1.5 MB", 1 << 62: "4.6 EB"} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
}
