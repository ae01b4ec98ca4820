package graph

import (
	"net/http"
	"net/url"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/trace"
	store "github.com/seaworthy-dev/seaworthy/store/graph"
)

func (h *Handler) ask(w http.ResponseWriter, req *http.Request, q url.Values) error {
	asked, err := parseQuestion(req.PathValue("verb"), q)
	if err != nil {
		return err
	}
	select {
	case h.asking <- struct{}{}:
		defer func() { <-h.asking }()
	case <-req.Context().Done():
		return seaworthy.Errorf(seaworthy.Unavailable, "%d questions are being answered already", maxAsking)
	}
	said, err := h.Asker.Ask(req.Context(), asked)
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, filled(said))
}

// filled makes the lists of an answer what they are in JSON: never null.
func filled(a *trace.Answer) *trace.Answer {
	full := *a
	full.Nodes, full.Edges, full.Rows = listed(a.Nodes), listed(a.Edges), listed(a.Rows)
	full.Columns, full.Missing, full.Documents = listed(a.Columns), listed(a.Missing), listed(a.Documents)
	return &full
}

func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// Found is what a search gives: hits by kind, in the order of seaworthy.SubjectKinds.
type Found struct {
	Groups []Group `json:"groups"`
}

// Group has the hits of one kind.
type Group struct {
	Kind seaworthy.SubjectKind `json:"kind"`
	Hits []Hit                 `json:"hits"`
}

// Hit is a subject that was found.
type Hit struct {
	ID    string `json:"id"`
	Key   string `json:"key"`
	Label string `json:"label"`          // short, for people
	Name  string `json:"name,omitempty"` // by which it was found, when that was not its key
	Exact bool   `json:"exact"`
}

func (h *Handler) search(w http.ResponseWriter, req *http.Request, q url.Values) error {
	if q.Get("q") == "" {
		return seaworthy.Errorf(seaworthy.Usage, "reading the request: nothing is looked for").WithHint("q is the beginning of a name")
	}
	limit, err := number(q, "limit", store.MaxFound, 0)
	if err != nil {
		return err
	}
	of, err := kinds(q, seaworthy.SubjectKinds())
	if err != nil {
		return err
	}
	hits, err := h.Store.Find(req.Context(), store.Search{Text: q.Get("q"), Kinds: of, Limit: limit})
	if err != nil {
		return err
	}
	found := Found{Groups: []Group{}}
	for _, kind := range seaworthy.SubjectKinds() {
		g := Group{Kind: kind}
		for _, hit := range hits {
			if hit.Subject.Kind == kind {
				g.Hits = append(g.Hits, Hit{ID: store.FormatID(hit.ID), Key: hit.Subject.Key, Label: label(hit), Name: hit.Name, Exact: hit.Exact})
			}
		}
		if len(g.Hits) > 0 {
			found.Groups = append(found.Groups, g)
		}
	}
	return write(w, http.StatusOK, found)
}

// label is how a hit is shown: as it was found where its key is a digest, which nobody remembers.
func label(h store.Hit) string {
	if h.Name != "" && (h.Subject.Kind == seaworthy.ArtifactSubject || h.Subject.Kind == seaworthy.DocumentSubject) {
		return h.Name
	}
	return trace.Label(h.Subject)
}

func (h *Handler) stats(w http.ResponseWriter, req *http.Request, _ url.Values) error {
	s, err := h.Store.Stats(req.Context())
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, s)
}

func (h *Handler) describe(w http.ResponseWriter, _ *http.Request, _ url.Values) error {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openAPI) // the client went away
	return nil
}

// Jobs is a list of work that is still to be done.
type Jobs struct {
	Jobs []store.Job `json:"jobs"`
}

func (h *Handler) jobs(w http.ResponseWriter, req *http.Request, q url.Values) error {
	limit, err := number(q, "limit", MaxPage, DefaultPage)
	if err != nil {
		return err
	}
	jobs, err := h.Store.Jobs(req.Context(), limit)
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, Jobs{listed(jobs)})
}

func (h *Handler) retry(w http.ResponseWriter, req *http.Request, _ url.Values) error {
	id := req.PathValue("id")
	if err := h.Store.RetryJob(req.Context(), id, h.o.Now().UTC()); err != nil {
		return err
	}
	return write(w, http.StatusOK, Retried{ID: id})
}

// Retried names a job that is due now.
type Retried struct {
	ID string `json:"id"`
}
