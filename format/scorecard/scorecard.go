// Package scorecard reads the results of OpenSSF Scorecard: how a source repository is looked after, check by check
// (github.com/ossf/scorecard, pkg/scorecard/json.go; both the form with numbers and the older one with pass and
// confidence are JSON of the same members).
package scorecard

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// Limits. A result over them is TooLarge.
const (
	MaxBytes  = 16 << 20 // 16 MiB: details of a large repository
	MaxChecks = 1000     // Scorecard has about twenty
)

// Inconclusive is the score of what could not be found out.
const Inconclusive = -1

// Result is one run of Scorecard over one commit.
type Result struct {
	Date    time.Time // zero when it cannot be read
	Repo    string    // as written: "github.com/kubernetes/kubernetes"
	Commit  string    // of the repository, as written
	Version string    // of Scorecard
	Score   float64   // 0 to 10, or Inconclusive
	Checks  []Check
}

// Check is one thing that was looked at.
type Check struct {
	Name   string  `json:"name"`
	Score  float64 `json:"score"` // 0 to 10, or Inconclusive
	Reason string  `json:"reason,omitempty"`
}

// Parse reads a result. Errors: Invalid, TooLarge.
func Parse(b []byte) (*Result, error) {
	if len(b) > MaxBytes {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading a scorecard: more than %d bytes", MaxBytes)
	}
	var in struct {
		Date string `json:"date"`
		Repo struct {
			Name   string `json:"name"`
			Commit string `json:"commit"`
		} `json:"repo"`
		Scorecard *struct {
			Version string `json:"version"`
		} `json:"scorecard"`
		Score  *float64 `json:"score"`
		Checks []Check  `json:"checks"`
	}
	if err := json.Unmarshal(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), &in); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading a scorecard: %w", err)
	}
	switch {
	case in.Repo.Name == "":
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading a scorecard: it names no repository")
	case in.Scorecard == nil:
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading a scorecard: it does not say which Scorecard made it")
	case len(in.Checks) > MaxChecks:
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading a scorecard: %d checks; the limit is %d", len(in.Checks), MaxChecks)
	}
	out := &Result{Repo: in.Repo.Name, Commit: in.Repo.Commit, Version: in.Scorecard.Version, Score: Inconclusive, Checks: in.Checks}
	if in.Score != nil {
		out.Score = *in.Score
	}
	if !inRange(out.Score) {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading a scorecard: a score of %v is none from 0 to 10", out.Score)
	}
	for _, c := range in.Checks {
		if !inRange(c.Score) {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "reading a scorecard: check %q has a score of %v, which is none from 0 to 10", c.Name, c.Score)
		}
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, in.Date); err == nil {
			out.Date = t.UTC()
			break
		}
	}
	return out, nil
}

func inRange(score float64) bool { return score == Inconclusive || score >= 0 && score <= 10 }
