package seaworthy

import "crypto/sha256"

// SubjectKind is what kind of thing evidence is about. The list is closed.
type SubjectKind string

// The kinds of subject and their canonical keys.
const (
	ArtifactSubject SubjectKind = "artifact" // a digest
	PackageSubject  SubjectKind = "package"  // a canonical purl; without version it names the package itself
	SourceSubject   SubjectKind = "source"   // git+https://host/path@commit
	VulnSubject     SubjectKind = "vuln"     // an advisory id
	LicenceSubject  SubjectKind = "licence"  // an SPDX expression, or LicenseRef- and its text's digest
	ActorSubject    SubjectKind = "actor"    // key:…, identity:…, builder:…, person:…
	DocumentSubject SubjectKind = "document" // the digest of its bytes
	ResourceSubject SubjectKind = "resource" // k8s://…, tf://…, oci://…, node://…
)

// Subject is what evidence is about. Two subjects are the same when kind and key are.
type Subject struct {
	Kind SubjectKind `json:"kind"`
	Key  string      `json:"key"`
}

// ID returns the subject's identity: the first 16 bytes of SHA-256(kind ‖ 0 ‖ key). It comes from content, so
// writers never need to read before they write.
func (s Subject) ID() [16]byte {
	sum := sha256.Sum256([]byte(string(s.Kind) + "\x00" + s.Key))
	return [16]byte(sum[:16])
}
