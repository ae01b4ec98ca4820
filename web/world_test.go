package web

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// What the fake server knows. The facts are those of the Kubernetes v1.24.6 release: testdata/README.md.
const (
	image     = "sha256:c6a1b9e4d3f25a7e8b09c1d2e3f4a5b6c7d8e9f00112233445566778899aabbc"
	scorecard = "sha256:42dc73eaab88e9572fdc147e5bf5cb6ca6ab8e9ba75f1b55c1f3c2a62c5ec5ad"
	fileGroup = "group:bdef567dd26062aefae4f2d80c7cb960:out:hasFile:file"
	goRunner  = "430257c56c9d5f7f3c0b7f4de79601bc"
	source    = "git+https://github.com/kubernetes/kubernetes@1ff66136acfd7717292f65447b2ebff162570f46"
)

// manyRows is how many rows the fake has of what is called "many".
const manyRows = 5000

// fake is a server with the page and an API that gives fixed answers.
type fake struct {
	*httptest.Server
	gate    bool             // it has a gate
	broken  atomic.Bool      // everything is an error
	empty   atomic.Bool      // it has nothing
	secret  string           // the token it asks for; "": none
	real    http.Handler     // what answers instead of all this
	entry   http.HandlerFunc // what answers for entries of the log; nil: a file
	retried atomic.Int32     // jobs
	uploads atomic.Int32
}

func newFake(t *testing.T, gate bool) *fake {
	t.Helper()
	f := &fake{gate: gate}
	mux := http.NewServeMux()
	mux.Handle("/", Handler())
	mux.Handle("/api/", http.HandlerFunc(f.api))
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) api(w http.ResponseWriter, req *http.Request) {
	at := strings.TrimPrefix(req.URL.Path, "/api/")
	graph, isGraph := strings.CutPrefix(at, "graph/v1/")
	switch {
	case f.secret != "" && req.Header.Get("Authorization") != "Bearer "+f.secret:
		fail(w, http.StatusUnauthorized, "unauthorized", "this graph asks who you are", "send a token")
	case f.real != nil:
		f.real.ServeHTTP(w, req)
	case f.broken.Load():
		fail(w, http.StatusServiceUnavailable, "storage", "the graph cannot keep or read this at present", "look at the server’s log")
	case isGraph && strings.HasPrefix(graph, "ask/"):
		f.ask(w, req, strings.TrimPrefix(graph, "ask/"))
	case isGraph && strings.HasPrefix(graph, "documents"):
		f.documents(w, req, strings.TrimPrefix(strings.TrimPrefix(graph, "documents"), "/"))
	case graph == "search":
		f.search(w, req)
	case isGraph && strings.HasPrefix(graph, "jobs/") && req.Method == http.MethodPost:
		f.retried.Add(1)
		fmt.Fprint(w, `{"id":"9f2b"}`)
	case graph == "log" || graph == "jobs" || graph == "bills" || graph == "stats":
		if f.empty.Load() {
			fmt.Fprint(w, `{"bills":[],"jobs":[],"entries":[],"origin":"seaworthy.example/log","size":0,"checkpoint":"","next":""}`)
			return
		}
		give(w, graph)
	case isGraph && strings.HasPrefix(graph, "log/") && f.entry != nil:
		f.entry(w, req)
	case isGraph && strings.HasPrefix(graph, "log/"):
		give(w, strings.ReplaceAll(graph, "/", "-"))
	case strings.HasPrefix(at, "gate/v1/") && f.gate:
		give(w, strings.TrimPrefix(at, "gate/v1/"))
	default:
		fail(w, http.StatusNotFound, "not-found", "there is no such endpoint", "")
	}
}

// ask answers from a file that is named like the verb.
func (f *fake) ask(w http.ResponseWriter, req *http.Request, verb string) {
	q := req.URL.Query()
	switch subject := q.Get("subject"); {
	case subject == "nothing":
		fail(w, http.StatusNotFound, "not-found", `nothing is called "nothing"`, "seaworthy graph find looks for names")
		return
	case verb == "neighbourhood" && slices.Contains(q["expand"], fileGroup):
		give(w, "neighbourhood-opened")
		return
	case subject == "many":
		give(w, verb, many)
		return
	case subject == "vast":
		give(w, verb, vast)
		return
	case f.empty.Load():
		give(w, verb, func(a map[string]any) { without(a, "rows", "nodes", "edges", "missing", "documents") })
		return
	}
	give(w, verb, func(a map[string]any) {
		if q.Get("signed") == "1" {
			keep(a, "edges", func(e map[string]any) bool { return e["signed"] == true })
		}
	})
}

// many fills an answer with more rows than are drawn at once.
func many(a map[string]any) {
	columns := len(a["columns"].([]any))
	rows := make([]any, manyRows)
	for i := range rows {
		cells := make([]any, columns)
		for c := range cells {
			cells[c] = fmt.Sprintf("row %05d, cell %d", i, c)
		}
		rows[i] = map[string]any{"cells": cells, "documents": []any{}, "signed": false, "level": 1}
	}
	a["rows"] = rows
}

// vast makes the picture as large as pictures are.
func vast(a map[string]any) {
	nodes := a["nodes"].([]any)
	edges := a["edges"].([]any)
	first := nodes[0].(map[string]any)["id"]
	for i := len(nodes); i < 300; i++ {
		id := fmt.Sprintf("%032x", i)
		depth, from := 1, first
		if i > 40 {
			depth, from = 2, fmt.Sprintf("%032x", 12+i%28)
		}
		nodes = append(nodes, map[string]any{"id": id, "kind": "package", "key": "pkg:golang/example.com/" + id, "label": fmt.Sprintf("example.com/module/%d v1.%d.0", i, i%9), "depth": depth})
		edges = append(edges, map[string]any{"from": from, "to": id, "predicate": "depends", "documents": []any{}, "signed": i%3 == 0})
	}
	a["nodes"], a["edges"] = nodes, edges
}

func without(a map[string]any, names ...string) {
	for _, name := range names {
		a[name] = []any{}
	}
}

func keep(a map[string]any, name string, want func(map[string]any) bool) {
	a[name] = slices.DeleteFunc(a[name].([]any), func(v any) bool { return !want(v.(map[string]any)) })
}

func (f *fake) search(w http.ResponseWriter, req *http.Request) {
	wanted := strings.ToLower(req.URL.Query().Get("q"))
	give(w, "search", func(a map[string]any) {
		for _, group := range a["groups"].([]any) {
			keep(group.(map[string]any), "hits", func(hit map[string]any) bool {
				return strings.Contains(strings.ToLower(fmt.Sprint(slices.Collect(maps.Values(hit)))), wanted)
			})
		}
	})
}

func (f *fake) documents(w http.ResponseWriter, req *http.Request, rest string) {
	digest, part, _ := strings.Cut(rest, "/")
	switch {
	case req.Method == http.MethodPost:
		f.uploads.Add(1)
		_, _ = io.Copy(io.Discard, req.Body)
		list := load("documents")["documents"].([]any)
		answer(w, map[string]any{"document": list[2], "added": true})
	case f.empty.Load():
		answer(w, map[string]any{"documents": []any{}, "next": ""})
	case digest == "":
		give(w, "documents")
	case part == "raw" && digest == scorecard:
		give(w, "raw-scorecard")
	case part != "":
		fmt.Fprint(w, `{"spdxVersion":"SPDX-2.2"}`)
	default:
		for _, d := range load("documents")["documents"].([]any) {
			if d.(map[string]any)["digest"] == digest {
				answer(w, d)
				return
			}
		}
		fail(w, http.StatusNotFound, "not-found", "there is no document "+digest, "")
	}
}

func load(name string) map[string]any {
	body, err := os.ReadFile(filepath.Join("testdata", "api", filepath.Base(name)+".json"))
	if err != nil {
		return nil
	}
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		panic(err)
	}
	return v
}

func give(w http.ResponseWriter, name string, change ...func(map[string]any)) {
	v := load(name)
	if v == nil {
		fail(w, http.StatusNotFound, "not-found", "there is no "+name, "")
		return
	}
	for _, do := range change {
		do(v)
	}
	answer(w, v)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, status int, code, message, hint string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": code, "message": message, "hint": hint}})
}
