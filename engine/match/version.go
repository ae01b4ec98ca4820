package match

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/osv-scalibr/semantic"

	"github.com/seaworthy-dev/seaworthy/source/advisory"
)

// maxVersionBytes is the longest version that is compared; the cost of parsing grows faster than the length.
const maxVersionBytes = 512

// version is an installed version that is compared with those of advisories.
type version struct {
	text      string // as it is compared
	ecosystem string
	own       semantic.Version // in the ecosystem's order; nil: it has none
	ownReason string           // why own is nil
	semver    semantic.Version // by Semantic Versioning, parsed when first needed
}

// newVersion prepares a version for comparison. reason says why it can never be compared.
func newVersion(ecosystem, text string) (v *version, reason string) {
	base, _, _ := strings.Cut(ecosystem, ":")
	if base == "Go" {
		text = goVersion(text)
	}
	switch {
	case text == "":
		return nil, "its version is not known"
	case len(text) > maxVersionBytes:
		return nil, fmt.Sprintf("its version has %d bytes, over the limit of %d", len(text), maxVersionBytes)
	case strings.Contains(text, "${"):
		return nil, fmt.Sprintf("version %q is a placeholder", text)
	case semverEcosystems[base] && !startsLikeSemver(text):
		return nil, fmt.Sprintf("%q is no version of %s", text, base)
	}
	v = &version{text: text, ecosystem: base}
	parsed, err := semantic.Parse(text, base)
	switch {
	case errors.Is(err, semantic.ErrUnsupportedEcosystem):
		v.ownReason = "the version order of " + base + " is not known"
	case err != nil:
		v.ownReason = fmt.Sprintf("%q is no version of %s: %v", text, base, err)
	default:
		v.own = parsed
	}
	return v, ""
}

// semverEcosystems are those whose versions must begin with a number; their parser accepts anything.
var semverEcosystems = map[string]bool{
	"Go": true, "npm": true, "crates.io": true, "Hex": true, "Pub": true, "SwiftURL": true, "Julia": true, "Bitnami": true,
}

func startsLikeSemver(s string) bool {
	s = strings.TrimPrefix(s, "v")
	return s != "" && s[0] >= '0' && s[0] <= '9'
}

// goVersion turns the names of Go releases into semantic versions, as the Go vulnerability database writes
// them: "go1.21rc2" is 1.21.0-rc.2. What follows a space ("X:boringcrypto") is not part of the version.
func goVersion(s string) string {
	s, _, _ = strings.Cut(s, " ")
	rest, ok := strings.CutPrefix(s, "go")
	if !ok {
		return s
	}
	for _, pre := range []string{"rc", "beta"} {
		if release, n, ok := strings.Cut(rest, pre); ok && n != "" {
			if strings.Count(release, ".") < 2 {
				release += ".0"
			}
			return release + "-" + pre + "." + n
		}
	}
	return rest
}

// parse reads a version of an advisory in a range's order.
func (v *version) parse(order advisory.RangeType, other string) (semantic.Version, error) {
	if len(other) > maxVersionBytes {
		return nil, fmt.Errorf("a version of the advisory has %d bytes, over the limit of %d", len(other), maxVersionBytes)
	}
	if order == advisory.Semver {
		return semantic.ParseSemverVersion(other), nil
	}
	return semantic.Parse(other, v.ecosystem)
}

// in returns v in a range's order.
func (v *version) in(order advisory.RangeType) semantic.Version {
	if order != advisory.Semver {
		return v.own
	}
	if v.semver == nil {
		v.semver = semantic.ParseSemverVersion(v.text)
	}
	return v.semver
}

// verdict is what an advisory says of a version. reason, when set, says what could not be compared.
type verdict struct {
	affected bool
	rng      string
	fixed    string
	reason   string
}

// affected evaluates one advisory as the OSV schema says: affected when enumerated, or inside a range. An error
// means a damaged database.
func (v *version) affected(a *advisory.Affected) (verdict, error) {
	var out verdict
	for i := range a.Ranges {
		in, err := v.inRange(&a.Ranges[i])
		if err != nil {
			out.reason = err.Error()
			continue
		}
		if in.affected {
			return in, nil
		}
		if out.fixed == "" {
			out.fixed = in.fixed // the next repair after v, should v be listed
		}
	}
	listed := false
	err := a.EachVersion(func(b []byte) bool {
		listed = string(b) == v.text || len(a.Ranges) == 0 && v.equal(b)
		return !listed
	})
	if !listed {
		out.fixed = ""
		return out, err
	}
	return verdict{affected: true, rng: "listed", fixed: out.fixed}, err
}

// equal reports whether an enumerated version is the same by the ecosystem's order: 1.0 and 1.0.0 in PyPI.
func (v *version) equal(b []byte) bool {
	if v.own == nil || len(b) > maxVersionBytes {
		return false
	}
	c, err := v.own.CompareStr(string(b))
	return err == nil && c == 0
}

// inRange evaluates the events of one range. They need not be sorted: the state of v is that of the greatest
// event at or before it, and of several at the same version the last.
func (v *version) inRange(r *advisory.Range) (verdict, error) {
	if r.Type == advisory.OtherRange {
		return verdict{}, errors.New("the advisory tells its versions in a way that has no order here, such as git commits")
	}
	if r.Type == advisory.Ecosystem && v.own == nil {
		return verdict{}, errors.New(v.ownReason)
	}
	var last, next, fixed point
	limited, belowLimit := false, false
	for i := range r.Events {
		e := point{event: &r.Events[i]}
		c := 1 // introduced "0" is before everything
		if e.event.Kind == advisory.Limit && e.event.Version == "*" {
			limited, belowLimit = true, true
			continue
		}
		if e.event.Kind != advisory.Introduced || e.event.Version != "0" {
			var err error
			if e.version, err = v.parse(r.Type, e.event.Version); err == nil {
				c, err = v.in(r.Type).Compare(e.version)
			}
			if err != nil {
				return verdict{}, fmt.Errorf("comparing with %q: %w", e.event.Version, err)
			}
		}
		switch {
		case e.event.Kind == advisory.Limit:
			limited, belowLimit = true, belowLimit || c < 0
		case c > 0 || c == 0 && e.event.Kind != advisory.LastAffected:
			if last.event == nil || !e.before(last) {
				last = e
			}
		case e.event.Kind != advisory.Introduced: // the end of a range after v
			if next.event == nil || e.before(next) {
				next = e
			}
			if e.event.Kind == advisory.Fixed && (fixed.event == nil || e.before(fixed)) {
				fixed = e
			}
		}
	}
	var out verdict
	if fixed.event != nil {
		out.fixed = fixed.event.Version
	}
	if last.event == nil || last.event.Kind != advisory.Introduced || limited && !belowLimit {
		return out, nil
	}
	out.affected, out.rng = true, rangeText(last.event, next.event)
	return out, nil
}

// point is an event and its version; version is nil for the beginning of all.
type point struct {
	event   *advisory.Event
	version semantic.Version
}

// before reports whether a is at a lower version than b; false when that cannot be told.
func (a point) before(b point) bool {
	if a.version == nil || b.version == nil {
		return b.version != nil
	}
	c, err := a.version.Compare(b.version)
	return err == nil && c < 0
}

// rangeText writes a range as people read it.
func rangeText(from, to *advisory.Event) string {
	text := ">=" + from.Version
	if from.Version == "0" && to != nil {
		text = ""
	}
	if to == nil {
		return text
	}
	if text != "" {
		text += " "
	}
	if to.Kind == advisory.LastAffected {
		return text + "<=" + to.Version
	}
	return text + "<" + to.Version
}
