package ingest

import (
	"encoding/json"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/scorecard"
	"github.com/seaworthy-dev/seaworthy/format/vcs"
)

// readScorecard reads what OpenSSF Scorecard says of a source.
func (r *reader) readScorecard(body []byte) error {
	s, err := scorecard.Parse(body)
	if err != nil {
		return err
	}
	l, err := vcs.Parse(s.Repo)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Invalid, "reading a scorecard")
	}
	source := r.source(l.At(s.Commit))
	r.doc.Kind, r.doc.Name = seaworthy.ScorecardDocument, s.Repo
	if r.doc.Format == "" {
		r.doc.Format = "OpenSSF scorecard"
	}
	checks, err := json.Marshal(s.Checks)
	if err != nil {
		return seaworthy.Errorf(seaworthy.Internal, "writing the checks of a scorecard: %w", err)
	}
	r.describes(source, "name", s.Repo)
	r.say(source, seaworthy.SaysRated, r.subject(), "by", strings.TrimSpace("OpenSSF Scorecard "+s.Version), "checks", string(checks), "score", number(s.Score), "time", stamp(s.Date), "type", "scorecard")
	return nil
}
