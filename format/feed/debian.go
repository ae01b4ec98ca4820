package feed

import (
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
)

// DebianIssue is one CVE of one source package in the Debian security tracker
// (security-tracker.debian.org/tracker/data/json).
type DebianIssue struct {
	Package     string          // source package
	ID          string          // CVE-…, or TEMP-… where none is assigned yet
	Description string          // one or two sentences
	Releases    []DebianRelease // sorted by release
}

// DebianRelease is what the tracker says of an issue in one release.
type DebianRelease struct {
	Release string // Debian's number: "12"; the codename where the number is not known
	Status  string // resolved, open, undetermined
	// Fixed is the repaired version when Status is resolved; "0" means that the release was never affected.
	Fixed   string
	Urgency string // unimportant, low, medium, high, end-of-life, not yet assigned
	NoDSA   string // why no advisory will be made: "Minor issue"; "" when not said
	Reason  string // postponed, ignored, or ""
}

// debianNumbers are the releases of Debian (debian.org/releases).
var debianNumbers = map[string]string{
	"squeeze": "6", "wheezy": "7", "jessie": "8", "stretch": "9", "buster": "10", "bullseye": "11",
	"bookworm": "12", "trixie": "13", "forky": "14", "duke": "15", "sid": "sid",
}

// Debian reads the tracker's JSON: {package: {issue: {releases: {codename: {status …}}}}}.
// Errors: Invalid and TooLarge for the file as a whole, and what each returns.
func Debian(r io.Reader, each func(DebianIssue) error, bad Bad) error {
	dec := decode(r)
	n := 0
	err := object(dec, func(pkg string) error {
		pkg = strings.Clone(pkg)
		return object(dec, func(id string) error {
			if n++; n > MaxEntries {
				return tooMany()
			}
			id = strings.Clone(id)
			raw, err := value(dec)
			if err != nil {
				return err
			}
			issue, err := debianIssue(pkg, id, raw)
			if err != nil {
				bad(pkg+" "+id, err)
				return nil
			}
			return each(issue)
		})
	})
	return seaworthy.Wrap(err, seaworthy.Invalid, "reading Debian security tracker")
}

func debianIssue(pkg, id string, raw jsontext.Value) (DebianIssue, error) {
	var in struct {
		Description string `json:"description"`
		Releases    map[string]struct {
			Status  string `json:"status"`
			Fixed   string `json:"fixed_version"`
			Urgency string `json:"urgency"`
			NoDSA   string `json:"nodsa"`
			Reason  string `json:"nodsa_reason"`
		} `json:"releases"`
	}
	out := DebianIssue{Package: pkg, ID: id}
	if !looksLikeCVE(id) {
		return out, seaworthy.Errorf(seaworthy.Invalid, "%.64q is no issue name", id)
	}
	if err := json.Unmarshal(raw, &in); err != nil {
		return out, seaworthy.Errorf(seaworthy.Invalid, "parsing issue: %w", err)
	}
	out.Description = in.Description
	for name, rel := range in.Releases {
		number, ok := debianNumbers[name]
		if !ok {
			number = name
		}
		switch rel.Status {
		case "open", "undetermined":
		case "resolved":
			if rel.Fixed == "" {
				return out, seaworthy.Errorf(seaworthy.Invalid, "resolved in %q without a version", name)
			}
		default:
			return out, seaworthy.Errorf(seaworthy.Invalid, "status %.32q in %q", rel.Status, name)
		}
		out.Releases = append(out.Releases, DebianRelease{
			Release: number, Status: rel.Status, Fixed: rel.Fixed, Urgency: rel.Urgency, NoDSA: rel.NoDSA, Reason: rel.Reason,
		})
	}
	slices.SortFunc(out.Releases, func(a, b DebianRelease) int { return strings.Compare(a.Release, b.Release) })
	return out, nil
}
