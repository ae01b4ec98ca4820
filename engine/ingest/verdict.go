package ingest

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// readVerdict reads what was decided about an image.
func (r *reader) readVerdict(body []byte) error {
	var v seaworthy.Verdict
	if err := json.Unmarshal(body, &v); err != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "reading a verdict: %w", err)
	}
	if v.Image == "" && v.Digest == "" {
		return seaworthy.Errorf(seaworthy.Invalid, "reading a verdict: it names no image")
	}
	r.doc.Kind, r.doc.Format, r.doc.Name = seaworthy.VerdictDocument, "seaworthy verdict", v.Image
	about := imageResource(v.Image, "")
	if d, err := seaworthy.ParseDigest(string(v.Digest)); err == nil {
		about = artifact(d)
		r.name(about, v.Image)
	}
	r.describes(about, "name", v.Image)
	word := "refused"
	if v.Allowed {
		word = "allowed"
	}
	var reasons []string
	policies := map[string]bool{}
	seen := map[seaworthy.Digest]bool{}
	for _, p := range v.Policies {
		policies[p.Policy] = true
		for _, rule := range p.Rules {
			if !rule.Passed {
				reasons = append(reasons, p.Policy+": "+cmp.Or(rule.Reason, rule.Rule))
			}
			for _, e := range rule.Evidence {
				seen[e.Document] = true
			}
		}
	}
	r.say(about, seaworthy.SaysJudged, r.subject(), "policy", strings.Join(slices.Sorted(maps.Keys(policies)), ", "), "reason", strings.Join(reasons, "; "),
		"time", stamp(v.At), "verdict", word)
	for _, d := range slices.Sorted(maps.Keys(seen)) {
		if parsed, err := seaworthy.ParseDigest(string(d)); err == nil {
			r.say(r.subject(), seaworthy.SaysNoted, documentOf(parsed), "key", "evidence")
		}
	}
	return nil
}
