package console

import (
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// ColourMode is the value of --color. It is a pflag.Value.
type ColourMode string

// The modes. The zero value means ColourAuto.
const (
	ColourAuto   ColourMode = "auto"
	ColourAlways ColourMode = "always"
	ColourNever  ColourMode = "never"
)

// String implements pflag.Value.
func (m *ColourMode) String() string {
	if *m == "" {
		return string(ColourAuto)
	}
	return string(*m)
}

// Type implements pflag.Value.
func (*ColourMode) Type() string { return "auto|always|never" }

// Set implements pflag.Value. Errors: Usage.
func (m *ColourMode) Set(s string) error {
	switch mode := ColourMode(strings.ToLower(s)); mode {
	case ColourAuto, ColourAlways, ColourNever:
		*m = mode
		return nil
	}
	return seaworthy.Errorf(seaworthy.Usage, "%q is not auto, always or never", s).
		WithHint("%s", didYouMean(s, []string{"auto", "always", "never"}))
}

// On decides whether colour is written to a stream. "always" and "never" are obeyed. Otherwise NO_COLOR set to
// anything turns it off (no-color.org), CLICOLOR_FORCE set to anything but 0 turns it on, and else a terminal
// that is not TERM=dumb has it. NO_COLOR beats CLICOLOR_FORCE.
func (m ColourMode) On(terminal bool, getenv func(string) string) bool {
	switch m {
	case ColourAlways:
		return true
	case ColourNever:
		return false
	}
	if getenv("NO_COLOR") != "" {
		return false
	}
	if force := getenv("CLICOLOR_FORCE"); force != "" && force != "0" {
		return true
	}
	return terminal && getenv("TERM") != "dumb"
}

// Style is how a piece of text looks: the parameters of an SGR sequence (ECMA-48 8.3.117). "" is plain.
type Style string

// The styles. There are few on purpose: a style says good, bad, careful, or how much it matters.
const (
	Plain  Style = ""
	Bold   Style = "1"
	Dim    Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
	Cyan   Style = "36"
)

// Paint returns text in a style where the stream can show it, and text itself elsewhere. It does not escape.
func (s *Stream) Paint(style Style, text string) string {
	if !s.Colour || style == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(style) + "m" + text + "\x1b[0m"
}
