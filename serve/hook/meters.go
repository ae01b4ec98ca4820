package hook

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// buckets of how long answers take, in seconds.
var buckets = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}

// meters count answers.
type meters struct {
	mu sync.Mutex
	by map[string]*meter // by path
}

type meter struct {
	counts []int64 // not cumulative; the last is above all buckets
	sum    float64
	failed int64
}

func (m *meters) note(path string, took time.Duration, failed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.by == nil {
		m.by = map[string]*meter{}
	}
	one := m.by[path]
	if one == nil {
		one = &meter{counts: make([]int64, len(buckets)+1)}
		m.by[path] = one
	}
	i, _ := slices.BinarySearch(buckets, took.Seconds())
	one.counts[i]++
	one.sum += took.Seconds()
	if failed {
		one.failed++
	}
}

// measured counts requests, and turns away those that are too many.
func (h *Handler) measured(path string, f func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		began := time.Now()
		var err error
		if h.underway.Add(1) > maxUnderway {
			err = seaworthy.Errorf(seaworthy.Unavailable, "more than %d requests at once", maxUnderway)
		} else {
			err = f(w, req)
		}
		h.underway.Add(-1)
		if err != nil {
			h.o.Log.Warn("answering a request", "path", path, "from", req.RemoteAddr, "err", err)
			h.fail(w, err)
		}
		h.meters.note(path, time.Since(began), err != nil)
	}
}

// metrics writes Prometheus' text format.
func (h *Handler) metrics(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	head := func(name, kind, help string) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	}
	const seconds = "seaworthy_gate_request_duration_seconds"
	head(seconds, "histogram", "How long answers took.")
	h.meters.mu.Lock()
	var paths []string
	for path := range h.meters.by {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		m, total := h.meters.by[path], int64(0)
		for i, bound := range buckets {
			total += m.counts[i]
			fmt.Fprintf(&b, "%s_bucket{path=%q,le=\"%g\"} %d\n", seconds, path, bound, total)
		}
		total += m.counts[len(buckets)]
		fmt.Fprintf(&b, "%s_bucket{path=%q,le=\"+Inf\"} %d\n%s_sum{path=%q} %g\n%s_count{path=%q} %d\n", seconds, path, total, seconds, path, m.sum, seconds, path, total)
	}
	head("seaworthy_gate_request_errors_total", "counter", "Requests that could not be answered.")
	for _, path := range paths {
		fmt.Fprintf(&b, "seaworthy_gate_request_errors_total{path=%q} %d\n", path, h.meters.by[path].failed)
	}
	h.meters.mu.Unlock()
	c := h.gate.Counts()
	for _, one := range []struct {
		name, help string
		n          int64
	}{
		{"judged", "Images that were judged.", c.Judged.Load()},
		{"remembered", "Images whose verdict was remembered.", c.Hits.Load()},
		{"stale", "Images for which an older verdict was given, since nobody could be asked.", c.Stale.Load()},
		{"asked", "Questions that went to registries.", c.Flights.Load()},
		{"resolved", "Tags that were resolved.", c.Resolved.Load()},
		{"late", "Images about which there was no answer in time.", c.Late.Load()},
		{"refused", "Images that were refused.", c.Refused.Load()},
		{"warned", "Images that were let through with a warning.", c.Warned.Load()},
		{"recorded", "Decisions that were recorded.", c.Recorded.Load()},
		{"unrecorded", "Decisions that could not be recorded.", c.Unrecorded.Load()},
	} {
		name := "seaworthy_gate_" + one.name + "_total"
		head(name, "counter", one.help)
		fmt.Fprintf(&b, "%s %d\n", name, one.n)
	}
	head("seaworthy_gate_verdicts", "gauge", "Verdicts that are remembered.")
	fmt.Fprintf(&b, "seaworthy_gate_verdicts %d\n", h.gate.Remembered())
	head("seaworthy_gate_policies", "gauge", "Policies that are in force.")
	fmt.Fprintf(&b, "seaworthy_gate_policies %d\n", len(h.gate.Policies()))
	writeText(w, http.StatusOK, b.String())
}
