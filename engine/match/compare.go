package match

import (
	"errors"
	"strings"

	"github.com/google/osv-scalibr/semantic"

	"github.com/seaworthy-dev/seaworthy"
)

// versionOrders are the orders of versions of purl types that OSV knows by the names of distributions.
var versionOrders = map[string]string{"deb": "Debian", "rpm": "Red Hat", "apk": "Alpine"}

// CompareVersions compares two versions in the order of a purl type ("golang", "deb"): -1, 0 or 1. A v before a
// number does not count. Types whose order is not known are compared by Semantic Versioning when both begin with a
// number. Errors: Unsupported when there is no order between them.
func CompareVersions(purlType, a, b string) (int, error) {
	a, b = plainVersion(a), plainVersion(b)
	if a == b {
		return 0, nil
	}
	ecosystem := versionOrders[purlType]
	if ecosystem == "" {
		ecosystem = osvEcosystems[purlType]
	}
	no := func(err error) (int, error) {
		return 0, seaworthy.Errorf(seaworthy.Unsupported, "comparing the versions %q and %q: %w", a, b, err)
	}
	if ecosystem == "Go" {
		a, b = goVersion(a), goVersion(b)
	}
	switch {
	case a == "" || b == "":
		return no(errors.New("one of them is not known"))
	case len(a) > maxVersionBytes || len(b) > maxVersionBytes:
		return no(errors.New("they are too long"))
	}
	if ecosystem == "" || semverEcosystems[ecosystem] {
		if !startsLikeSemver(a) || !startsLikeSemver(b) {
			return no(errors.New("they do not begin with a number"))
		}
		c, err := semantic.ParseSemverVersion(a).CompareStr(b)
		if err != nil {
			return no(err)
		}
		return c, nil
	}
	v, err := semantic.Parse(a, ecosystem)
	if err != nil {
		return no(err)
	}
	c, err := v.CompareStr(b)
	if err != nil {
		return no(err)
	}
	return c, nil
}

// plainVersion drops the v before a number.
func plainVersion(s string) string {
	s = strings.TrimSpace(s)
	if rest := strings.TrimPrefix(s, "v"); rest != s && startsLikeSemver(rest) {
		return rest
	}
	return s
}
