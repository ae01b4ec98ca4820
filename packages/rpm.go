package packages

import (
	"bytes"
	"io/fs"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// rpm reads the databases of rpm in their three formats: Berkeley DB hash (Packages, rpm_bdb.go), rpm's own ndb
// (Packages.db, rpm_ndb.go) and SQLite (rpmdb.sqlite, rpm_sqlite.go). Each holds one header per package
// (rpm_header.go). A write-ahead log beside a SQLite file is not read.
var rpm = Recogniser{
	Name:    "rpm",
	Version: 1,
	Wants: func(path string, _ int64, _ fs.FileMode) bool {
		rest, ok := strings.CutPrefix(path, "var/lib/rpm/")
		if !ok {
			rest, ok = strings.CutPrefix(path, "usr/lib/sysimage/rpm/")
		}
		if !ok {
			rest, ok = strings.CutPrefix(path, "usr/share/rpm/")
		}
		return ok && (rest == "Packages" || rest == "Packages.db" || rest == "rpmdb.sqlite")
	},
	Read: readRPM,
	Join: joinRPM,
}

func readRPM(f *File) (Facts, error) {
	body, err := f.Bytes()
	if err != nil {
		return Facts{}, err
	}
	packages, err := parseRPMDB(body)
	return Facts{Packages: packages}, err
}

// parseRPMDB reads a database of any of the three formats; what is none of them, or empty, gives nothing.
// An error stands beside the packages that could be read.
func parseRPMDB(body []byte) ([]seaworthy.Package, error) {
	var out []seaworthy.Package
	var first error
	each := func(blob []byte) {
		p, ok, err := parseRPMHeader(blob)
		if ok {
			out = append(out, p)
		}
		if err != nil && first == nil {
			first = err
		}
	}
	var err error
	switch {
	case bytes.HasPrefix(body, []byte(sqliteMagic)):
		err = sqliteBlobs(body, "Packages", each)
	case bytes.HasPrefix(body, []byte(ndbMagic)):
		err = ndbBlobs(body, each)
	case bdbOrder(body) != nil:
		err = bdbBlobs(body, each)
	}
	if err == nil {
		err = first
	}
	return out, err
}

// rpmBroken is an error about a database whose inner links are wrong.
func rpmBroken(format string, args ...any) error {
	return seaworthy.Errorf(seaworthy.Invalid, "reading the rpm database: "+format, args...)
}

// joinRPM gives packages their purls and edges. The same database seen by two names (through a link that an
// image turned into a copy) is read once.
func joinRPM(ctx Context, all []Facts) Joined {
	var out Joined
	seen := make(map[string]bool)
	for i := range all {
		for _, p := range all[i].Packages {
			key := p.Name + "\x00" + p.Version + "\x00" + p.Arch
			if !seen[key] {
				seen[key] = true
				out.Packages = append(out.Packages, p)
			}
		}
	}
	provides := make([][]string, len(out.Packages))
	for i := range out.Packages {
		p := &out.Packages[i]
		provides[i] = takeProvides(p)
		epoch, version, ok := strings.Cut(p.Version, ":")
		if !ok {
			epoch, version = "", p.Version
		}
		upstream := ""
		if p.Source.Name != "" {
			upstream = p.Source.Name + "-" + p.Source.Version + ".src.rpm"
		}
		p.PURL = purl.New("rpm", rpmVendor(ctx.Release), p.Name, version,
			"arch", p.Arch, "epoch", epoch, "upstream", upstream, "distro", ctx.Release.Distro())
		p.Ref = p.PURL
	}
	addPathProvides(out.Packages, provides)
	out.Relations = dependencyEdges(out.Packages, provides, func(arch string) bool { return arch == "noarch" })
	return out
}

// rpmVendor is the namespace of purls: the vendor, which for Red Hat's own system is not its ID.
func rpmVendor(r *OSRelease) string {
	switch {
	case r == nil:
		return ""
	case r.ID == "rhel":
		return "redhat"
	}
	return r.ID
}
