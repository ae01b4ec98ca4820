package oci

import (
	"runtime"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// Platform is what an image runs on, in Go's words (image-spec image-index.md, "platform").
type Platform struct {
	OS        string `json:"os,omitempty"`
	Arch      string `json:"architecture,omitempty"`
	Variant   string `json:"variant,omitempty"`
	OSVersion string `json:"os.version,omitempty"`
}

// ParsePlatform reads "os/arch[/variant]"; "arch" alone means linux. "" is the zero Platform. Errors: Usage.
func ParsePlatform(s string) (Platform, error) {
	if s == "" {
		return Platform{}, nil
	}
	parts := strings.Split(s, "/")
	for _, p := range parts {
		if p == "" || len(p) > 64 || strings.Trim(strings.ToLower(p), "abcdefghijklmnopqrstuvwxyz0123456789_.-") != "" {
			return Platform{}, badPlatform(s)
		}
	}
	switch len(parts) {
	case 1:
		return Platform{OS: "linux", Arch: normalArch(parts[0])}, nil
	case 2:
		return Platform{OS: strings.ToLower(parts[0]), Arch: normalArch(parts[1])}, nil
	case 3:
		return Platform{OS: strings.ToLower(parts[0]), Arch: normalArch(parts[1]), Variant: strings.ToLower(parts[2])}, nil
	}
	return Platform{}, badPlatform(s)
}

func badPlatform(s string) error {
	return seaworthy.Errorf(seaworthy.Usage, "parsing platform %q: want os/arch or os/arch/variant", s).
		WithHint("for example --platform linux/arm64")
}

// normalArch turns the names other systems use into Go's.
func normalArch(a string) string {
	switch a = strings.ToLower(a); a {
	case "x86_64", "x86-64":
		return "amd64"
	case "aarch64":
		return "arm64"
	case "i386", "i686":
		return "386"
	}
	return a
}

// String returns "os/arch[/variant]"; "" for the zero Platform.
func (p Platform) String() string {
	if p.OS == "" && p.Arch == "" {
		return ""
	}
	s := p.OS + "/" + p.Arch
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// hostPlatform is what is chosen when nobody says: linux on this machine's architecture.
func hostPlatform() Platform { return Platform{OS: "linux", Arch: runtime.GOARCH} }

// defaultVariant is the variant an architecture has when none is written.
func defaultVariant(arch string) string {
	switch arch {
	case "arm64":
		return "v8"
	case "arm":
		return "v7"
	case "amd64":
		return "v1"
	}
	return ""
}

// fit says how well p runs what want asks for: 0 not at all, more is better. A variant that is asked for must
// be the one; when none is, the usual one is best and a lower one of arm will do.
func (p Platform) fit(want Platform) int {
	if p.OS != want.OS || normalArch(p.Arch) != want.Arch || (want.OSVersion != "" && p.OSVersion != want.OSVersion) {
		return 0
	}
	have, usual := p.Variant, defaultVariant(want.Arch)
	if have == "" {
		have = usual
	}
	switch {
	case want.Variant != "":
		if have == want.Variant {
			return 10
		}
		return 0
	case have == usual:
		return 10
	case want.Arch == "arm" && have == "v6":
		return 6
	case want.Arch == "arm" && have == "v5":
		return 5
	}
	return 1
}
