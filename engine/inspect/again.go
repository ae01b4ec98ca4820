package inspect

import (
	"crypto/sha256"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/packages"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// kept is the part of a Report that follows from the image's layers and history alone, and so can be kept.
type kept struct {
	Release   *packages.OSRelease
	Layers    []Layer
	Packages  []seaworthy.Package
	Relations []seaworthy.Relation
	Licences  []LicenceCount
	Problems  []seaworthy.Problem
	Loose     []LooseFile
}

// keptUnder is the key of a report: everything that decides what it says. The layers are named by their stored
// bytes and the configuration by its digest, so only an image that was read and verified whole is recognised.
func keptUnder(img *oci.Image, o Options) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%+v %v\n", program(), seaworthy.SHA256(img.Config), o.Read.Limits, o.Files)
	for i := range img.Layers {
		fmt.Fprintf(h, "%s %s %d\n", img.Layers[i].Digest, img.Layers[i].DiffID, img.Layers[i].Size)
	}
	return fmt.Sprintf("report %x", h.Sum(nil))
}

// program identifies the program that runs: how packages are joined and attributed is part of what a report
// depends on, and may change from build to build.
func program() string {
	id := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		id = info.Main.Version
	}
	if name, err := os.Executable(); err == nil {
		if file, err := os.Stat(name); err == nil {
			id += fmt.Sprint(" ", file.Size(), " ", file.ModTime().UnixNano())
		}
	}
	return id
}

// recall completes the report from what an earlier run kept.
func (r *Report) recall(img *oci.Image, o Options) bool {
	var k kept
	if o.Read.Cache == nil || !o.Read.Cache.Load(keptUnder(img, o), &k) {
		return false
	}
	r.Release, r.Layers, r.Packages, r.Relations = k.Release, k.Layers, k.Packages, k.Relations
	r.Licences, r.Problems, r.Loose = k.Licences, k.Problems, k.Loose
	return true
}

// remember keeps a report for recall. One with anything missing is made anew each time.
func (r *Report) remember(img *oci.Image, o Options) {
	if o.Read.Cache == nil || r.Incomplete {
		return
	}
	o.Read.Cache.Store(keptUnder(img, o), &kept{
		Release: r.Release, Layers: r.Layers, Packages: r.Packages, Relations: r.Relations,
		Licences: r.Licences, Problems: r.Problems, Loose: r.Loose,
	})
}
