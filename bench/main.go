// Command bench measures programs as people call them (wall time, processor time and peak memory of whole
// processes) and writes the figures, with the machine they are of, into PERFORMANCE.md.
//
//	go run ./bench -write PERFORMANCE.md
//
// What is compared is measured in the same run, the programs taking turns, so that a machine that gets slower
// gets slower for all of them. To measure something new, add a figure to groups in cases.go. What cannot be
// measured here is left out and said so; no figure is ever kept from an earlier run.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// group is what is measured together and compared.
type group struct {
	title string
	about string // a sentence or two under the title
	runs  int
	// missing says what this machine lacks for the group, "" for nothing.
	missing func() string
	figures []figure
	inside  []inside
	// own is a program that measures by itself and prints a table; it is used instead of figures.
	own []string
	// setup makes what the figures need, such as a server, and says how to end it.
	setup func() (stop func(), err error)
}

// inside is a Go benchmark: what happens inside a process, without its start.
type inside struct {
	name    string // of the benchmark function, without "Benchmark"
	folder  string
	what    string
	bar     string
	options []string // of go test
}

// figure is one command.
type figure struct {
	name string
	argv []string
	env  []string
	bar  string // what it must reach, in words
	over string // name of the figure its processor time is compared with
	// before, when not nil, runs before each measurement and is not measured.
	before func() error
	// optional commands are left out, and said so, when their program is not there.
	optional string // how to install it
}

// result is what was measured of a figure.
type result struct {
	wall, cpu []time.Duration
	peak      int64 // bytes
	absent    bool
}

// Between these lines PERFORMANCE.md is written by this program.
const (
	begin = "<!-- figures: begin -->\n"
	end   = "<!-- figures: end -->\n"
)

func main() {
	write := flag.String("write", "", "Markdown file whose figures are replaced; without it they go to stdout")
	only := flag.String("only", "", "measure only groups whose title contains this; goes with no -write")
	flag.Parse()
	if *only != "" && *write != "" {
		fail(fmt.Errorf("-only measures a part: it cannot replace all figures"))
	}
	figures, err := measureAll(*only)
	if err == nil {
		err = publish(*write, figures)
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

func measureAll(only string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "\nMeasured by `make bench` on %s: %s.\n", time.Now().UTC().Format("2006-01-02"), machine())
	for _, g := range groups() {
		if !strings.Contains(g.title, only) {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", g.title, g.about)
		if g.missing != nil {
			if what := g.missing(); what != "" {
				fmt.Fprintf(os.Stderr, "*** not measured: %s: %s\n", g.title, what)
				fmt.Fprintf(&b, "Not measured on this machine: %s.\n", what)
				continue
			}
		}
		table, err := g.tables()
		if err != nil {
			return "", fmt.Errorf("%s: %w", g.title, err)
		}
		fmt.Fprintf(os.Stderr, "%s\n%s\n", g.title, table)
		b.WriteString(table)
	}
	b.WriteString("\n")
	return b.String(), nil
}

func (g *group) tables() (string, error) {
	if g.own != nil {
		cmd := exec.Command(g.own[0], g.own[1:]...)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		return string(out), err
	}
	if g.setup != nil {
		stop, err := g.setup()
		if err != nil {
			return "", err
		}
		defer stop()
	}
	var b strings.Builder
	if len(g.figures) > 0 {
		table, err := g.measure()
		if err != nil {
			return "", err
		}
		b.WriteString(table)
	}
	if len(g.inside) > 0 {
		b.WriteString("\n| inside the process | time | memory allocated | also | bar |\n|---|---|---|---|---|\n")
		for _, in := range g.inside {
			line, err := in.measure()
			if err != nil {
				return "", err
			}
			b.WriteString(line)
		}
	}
	return b.String(), nil
}

// measure runs the Go benchmark five times and takes the medians.
func (in *inside) measure() (string, error) {
	pattern := "^Benchmark" + strings.ReplaceAll(in.name, "/", "$/^") + "$"
	args := append([]string{"test", "-run", "^$", "-bench", pattern, "-benchmem", "-count", "5"}, in.options...)
	out, err := exec.Command("go", append(args, in.folder)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	values := map[string][]float64{} // by unit
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		for i := 3; i < len(f); i += 2 {
			if n, err := strconv.ParseFloat(f[i-1], 64); err == nil {
				values[f[i]] = append(values[f[i]], n)
			}
		}
	}
	if len(values["ns/op"]) == 0 {
		return "", fmt.Errorf("go %s: no benchmark ran\n%s", strings.Join(args, " "), out)
	}
	middle := func(unit string) float64 {
		all := slices.Sorted(slices.Values(values[unit]))
		if len(all) == 0 {
			return 0
		}
		return all[len(all)/2]
	}
	also := ""
	if n := middle("cpu-ns/op"); n > 0 {
		also = fmt.Sprintf("%.2f ms CPU", n/1e6)
	}
	for _, what := range []string{"entries", "documents", "reviews"} {
		n := middle(what + "/s")
		if n == 0 {
			continue
		}
		also = fmt.Sprintf("%.0f %s/s", n, what)
		if p99 := middle("p99-ms"); p99 > 0 {
			also += fmt.Sprintf(", half within %.2f ms, 99 of 100 within %.2f ms", middle("p50-ms"), p99)
		}
	}
	return fmt.Sprintf("| %s | %.2f ms | %.1f MB | %s | %s |\n", in.what, middle("ns/op")/1e6, middle("B/op")/1e6, also, in.bar), nil
}

// measure runs the group's commands in turn, g.runs times round.
func (g *group) measure() (string, error) {
	results := make(map[string]*result, len(g.figures))
	for _, f := range g.figures {
		results[f.name] = &result{}
	}
	for round := range g.runs + 1 { // the first warms caches and does not count
		for _, f := range g.figures {
			r := results[f.name]
			if r.absent {
				continue
			}
			if err := f.run(r, round > 0); err != nil {
				return "", err
			}
		}
	}
	var b strings.Builder
	b.WriteString("| command | wall | CPU | peak memory | compared | bar |\n|---|---|---|---|---|---|\n")
	for _, f := range g.figures {
		r := results[f.name]
		if r.absent {
			fmt.Fprintf(&b, "| %s | not here: `%s` | | | | %s |\n", f.name, f.optional, f.bar)
			continue
		}
		compared := ""
		if base := results[f.over]; f.over != "" && !base.absent {
			compared = fmt.Sprintf("%.2f × CPU of %s", ratio(r.cpu, base.cpu), f.over)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %.0f MB | %s | %s |\n", f.name, milliseconds(median(r.wall)), milliseconds(median(r.cpu)), float64(r.peak)/1e6, compared, f.bar)
	}
	fmt.Fprintf(&b, "\nMedians of %d runs of each command, taking turns.\n", g.runs)
	return b.String(), nil
}

func (f *figure) run(r *result, counts bool) error {
	if _, err := exec.LookPath(f.argv[0]); err != nil && f.optional != "" {
		r.absent = true
		fmt.Fprintf(os.Stderr, "*** not measured: %s: %v; install it by: %s\n", f.name, err, f.optional)
		return nil
	}
	if f.before != nil {
		if err := f.before(); err != nil {
			return err
		}
	}
	cmd := exec.Command(f.argv[0], f.argv[1:]...)
	cmd.Env = append(os.Environ(), f.env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(f.argv, " "), err, stderr.String())
	}
	if !counts {
		return nil
	}
	r.wall = append(r.wall, time.Since(start))
	r.cpu = append(r.cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.peak = max(r.peak, usage.Maxrss<<10) // kilobytes on Linux
	}
	return nil
}

// ratio is the median of the ratios of runs of the same round.
func ratio(a, b []time.Duration) float64 {
	n := min(len(a), len(b))
	all := make([]float64, 0, n)
	for i := range n {
		all = append(all, float64(a[i])/float64(b[i]))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func median(d []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[len(sorted)/2]
}

func milliseconds(d time.Duration) string {
	if d >= 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f ms", float64(d)/1e6)
}

// machine says what the figures were measured on.
func machine() string {
	model := runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				model = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
				break
			}
		}
	}
	return fmt.Sprintf("%d CPUs (%s), %s, %s", runtime.NumCPU(), model, runtime.GOOS, runtime.Version())
}

// publish replaces the figures in a Markdown file.
func publish(file, figures string) error {
	if file == "" {
		_, err := io.WriteString(os.Stdout, figures)
		return err
	}
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(old), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no lines %q and %q", file, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return os.WriteFile(file, []byte(before+begin+figures+end+after), 0o644)
}
