// Command testreport reads "go test -json" and writes what a person wants to read: a line for each package as go
// test writes it, everything a failed test said, and at the end the tests that were skipped, with their reasons,
// and the sum. It exits with 1 when anything failed, or when no test was run at all.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	ok, err := report(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}

// event is a line of test2json (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
}

type results struct {
	said                    map[string][]string // by package and test: what it printed
	failed, skipped         []string
	passed                  int
	packagesOK, packagesBad int
}

func report(in io.Reader, out io.Writer) (bool, error) {
	r := results{said: map[string][]string{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Action == "" {
			fmt.Fprintln(out, lines.Text()) // the go tool's own words
			continue
		}
		r.take(e, out)
	}
	for _, s := range r.skipped {
		fmt.Fprintln(out, s)
	}
	for _, name := range r.failed {
		fmt.Fprintln(out, "FAILED:", name)
	}
	fmt.Fprintf(out, "%d packages ok, %d not\n%d passed, %d failed, %d skipped\n",
		r.packagesOK, r.packagesBad, r.passed, len(r.failed), len(r.skipped))
	return len(r.failed) == 0 && r.packagesBad == 0 && r.passed > 0, lines.Err()
}

func (r *results) take(e event, out io.Writer) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		fmt.Fprint(out, e.Output)
	case "output":
		if e.Test == "" {
			r.packageLine(e.Output, out)
		} else {
			r.said[key] = append(r.said[key], e.Output)
		}
	case "pass":
		if e.Test != "" {
			r.passed++
		} else {
			r.packagesOK++
		}
		delete(r.said, key)
	case "skip":
		if e.Test != "" {
			r.skipped = append(r.skipped, "SKIPPED: "+key+": "+reason(r.said[key]))
		}
		delete(r.said, key)
	case "fail":
		if e.Test == "" {
			r.packagesBad++
			// A test that the process died in has no ending of its own.
			var died []string
			for name := range r.said {
				if strings.HasPrefix(name, key) {
					died = append(died, name)
				}
			}
			slices.Sort(died)
			for _, name := range died {
				r.fail(name, out)
			}
			return
		}
		r.fail(key, out)
	}
}

func (r *results) fail(key string, out io.Writer) {
	r.failed = append(r.failed, key)
	for _, line := range r.said[key] {
		fmt.Fprint(out, line)
	}
	delete(r.said, key)
}

// packageLine passes on what a package says in the end, and what a dying process says.
func (r *results) packageLine(line string, out io.Writer) {
	if line != "PASS\n" && line != "FAIL\n" && !strings.Contains(line, "[no test files]") {
		fmt.Fprint(out, line)
	}
}

// reason is what a test said when it skipped, in one line.
func reason(said []string) string {
	var words []string
	for _, line := range said {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		if _, after, ok := strings.Cut(line, ".go:"); ok { // file and line
			if _, text, ok := strings.Cut(after, ": "); ok {
				line = text
			}
		}
		words = append(words, line)
	}
	return strings.Join(words, " ")
}
