// Package inspect answers "what is in it, layer by layer": it puts the layers of an image on top of each
// other, joins what was recognised in them into packages, and says of each package which layer, made by which
// history line, brought it, and from which file that is known.
//
// Image does it for container images, Tree for directories and single files. A Report is a plain value; Text
// and HTML render it for people.
package inspect

import (
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/packages"
)

// Report is everything that is known about an image or tree.
type Report struct {
	Target    string              `json:"target"` // as the person named it
	Kind      string              `json:"kind"`   // registry, oci-dir, archive, dir, file
	Reference string              `json:"reference,omitempty"`
	Tags      []string            `json:"tags,omitempty"`
	Digest    seaworthy.Digest    `json:"digest,omitempty"` // of the manifest; of the file for one file
	MediaType string              `json:"mediaType,omitempty"`
	Index     seaworthy.Digest    `json:"index,omitempty"` // of the multi-platform index it was chosen from
	Platform  string              `json:"platform,omitempty"`
	Created   time.Time           `json:"created,omitzero"`
	Author    string              `json:"author,omitempty"` // as the image's configuration names them
	Labels    map[string]string   `json:"labels,omitempty"`
	Release   *packages.OSRelease `json:"release,omitempty"`
	Layers    []Layer             `json:"layers,omitempty"`
	// Steps are all lines of the image's history, also those that made no layer.
	Steps     []Step               `json:"steps,omitempty"`
	Packages  []seaworthy.Package  `json:"packages"`
	Relations []seaworthy.Relation `json:"relations,omitempty"`
	Licences  []LicenceCount       `json:"licences,omitempty"` // most used first
	Problems  []seaworthy.Problem  `json:"problems,omitempty"`
	// Incomplete says that some layer could not be read whole or is not what its digests say, or that something in
	// it is over a limit and was left unread.
	Incomplete bool `json:"incomplete,omitempty"`

	// Loose are executable files that no package owns, sorted by path: what a bill names besides packages.
	Loose []LooseFile `json:"looseFiles,omitempty"`
}

// Layer is what one layer did.
type Layer struct {
	Number     int                 `json:"layer"` // from 1
	Digest     seaworthy.Digest    `json:"digest,omitempty"`
	DiffID     seaworthy.Digest    `json:"diffID"`
	CreatedBy  string              `json:"createdBy,omitempty"` // the history line, as recorded
	Dockerfile *DockerfileLine     `json:"dockerfile,omitempty"`
	Stored     int64               `json:"storedBytes"`
	Unpacked   int64               `json:"unpackedBytes"`
	Files      FileCounts          `json:"files"`
	Changes    []FileChange        `json:"fileChanges,omitempty"` // only when asked for, sorted by path
	Packages   []PackageChange     `json:"packages"`              // sorted by ecosystem, name, version
	Release    string              `json:"release,omitempty"`     // pretty name of the operating system, where this layer says it
	Databases  []string            `json:"databases,omitempty"`   // recognisers that found something, sorted
	Problems   []seaworthy.Problem `json:"problems,omitempty"`
	Incomplete bool                `json:"incomplete,omitempty"`
	FromCache  bool                `json:"-"`
}

// Step is one line of the history.
type Step struct {
	CreatedBy string `json:"createdBy"`
	Layer     int    `json:"layer,omitempty"` // number of the layer it made, 0 for none
	Comment   string `json:"comment,omitempty"`
}

// DockerfileLine is the instruction that made a layer.
type DockerfileLine struct {
	Line        int    `json:"line"` // from 1
	Instruction string `json:"instruction"`
	// Guess says that the instruction was matched by its place and kind and not by its text.
	Guess bool `json:"guess,omitempty"`
}

// Change is what happened to a file or package in a layer.
type Change string

// The changes.
const (
	Added    Change = "added"
	Changed  Change = "changed" // of a file
	Upgraded Change = "upgraded"
	Removed  Change = "removed"
)

// FileCounts counts files (directories left out) and the bytes of those added or changed.
type FileCounts struct {
	Added   int   `json:"added"`
	Changed int   `json:"changed"`
	Removed int   `json:"removed"`
	Bytes   int64 `json:"bytes"`
}

// FileChange is one file's change.
type FileChange struct {
	Path   string `json:"path"`
	Change Change `json:"change"`
	Size   int64  `json:"size,omitempty"`
}

// PackageChange is one package's change.
type PackageChange struct {
	Change    Change `json:"change"`
	Ecosystem string `json:"ecosystem"`
	Name      string `json:"name"`
	Version   string `json:"version,omitempty"` // after; of a Removed one, before
	Before    string `json:"before,omitempty"`  // of an Upgraded one
	Arch      string `json:"arch,omitempty"`
	Licence   string `json:"licence,omitempty"`
	Path      string `json:"path"`                // the file that says so
	By        string `json:"by"`                  // the recogniser that read it
	CoveredBy string `json:"coveredBy,omitempty"` // name of the distribution package that installed it
	// Gone says that a later layer removed or replaced it: it is in the layer but not in the image.
	Gone bool `json:"gone,omitempty"`
}

// LicenceCount says how many packages declare a licence expression; "" stands for none known.
type LicenceCount struct {
	Licence  string `json:"licence"`
	Packages int    `json:"packages"`
}

// LooseFile is an executable that no package owns.
type LooseFile struct {
	Path   string           `json:"path"`
	Size   int64            `json:"size"`
	Digest seaworthy.Digest `json:"digest"`
	Layer  int              `json:"layer"` // index from 0
}
