package advisory

import (
	"math"
	"strings"

	gocvss20 "github.com/pandatix/go-cvss/20"
	gocvss30 "github.com/pandatix/go-cvss/30"
	gocvss31 "github.com/pandatix/go-cvss/31"
	gocvss40 "github.com/pandatix/go-cvss/40"

	"github.com/seaworthy-dev/seaworthy"
)

// Rating is what one source says about how bad a vulnerability is.
type Rating struct {
	Type     string             `json:"type"`            // CVSS_V2, CVSS_V3, CVSS_V4, or WORD
	Text     string             `json:"text"`            // the vector, or the word as written
	Score    float64            `json:"score,omitempty"` // base score of a vector
	Severity seaworthy.Severity `json:"severity"`
}

// ratingTypes are indexed by the rating kinds of the file.
var ratingTypes = [...]string{ratingWord: "WORD", ratingV2: "CVSS_V2", ratingV3: "CVSS_V3", ratingV4: "CVSS_V4"}

// RateVector computes the base score of a CVSS v2, v3.0, v3.1 or v4.0 vector. ok is false for what is none.
func RateVector(vector string) (r Rating, ok bool) {
	var score float64
	kind := ratingV3
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		v, err := gocvss40.ParseVector(vector)
		if err != nil {
			return r, false
		}
		kind, score = ratingV4, v.Score()
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		v, err := gocvss31.ParseVector(vector)
		if err != nil {
			return r, false
		}
		score = v.BaseScore()
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		v, err := gocvss30.ParseVector(vector)
		if err != nil {
			return r, false
		}
		score = v.BaseScore()
	default:
		v, err := gocvss20.ParseVector(vector)
		if err != nil {
			return r, false
		}
		kind, score = ratingV2, v.BaseScore()
	}
	score = math.Round(score*10) / 10
	return Rating{Type: ratingTypes[kind], Text: vector, Score: score, Severity: severityOf(score)}, true
}

// severityOf is the qualitative scale of CVSS v3.1 clause 5 and v4.0 clause 6; v2 scores are read on it too.
func severityOf(score float64) seaworthy.Severity {
	switch {
	case score >= 9:
		return seaworthy.SeverityCritical
	case score >= 7:
		return seaworthy.SeverityHigh
	case score >= 4:
		return seaworthy.SeverityMedium
	case score > 0:
		return seaworthy.SeverityLow
	}
	return seaworthy.SeverityNegligible
}

// RateWord reads the words that GitHub, Red Hat, SUSE, Ubuntu and Debian rate by. ok is false for any other,
// such as Debian's "not yet assigned".
func RateWord(word string) (r Rating, ok bool) {
	r = Rating{Type: ratingTypes[ratingWord], Text: word}
	switch strings.ToLower(strings.TrimRight(word, "*")) {
	case "critical":
		r.Severity = seaworthy.SeverityCritical
	case "high", "important":
		r.Severity = seaworthy.SeverityHigh
	case "medium", "moderate":
		r.Severity = seaworthy.SeverityMedium
	case "low":
		r.Severity = seaworthy.SeverityLow
	case "negligible", "unimportant":
		r.Severity = seaworthy.SeverityNegligible
	default:
		return r, false
	}
	return r, true
}
