// Package console is how the command line speaks: where results go and in which format, tables, JSON and YAML,
// colour, progress, and errors. It is written once, so that every verb does these things the same way.
//
// Results go to stdout or to files, through [Outputs]. Talk (progress, warnings, errors) goes to stderr, through
// a [Stream]. Anything that came from outside and is shown to a person passes through [Escape] first; tables and
// errors do that themselves.
//
// It knows nothing of verbs, and no engine imports it: an engine that takes long asks for a func(n int64), which
// [Bar.Add] is.
package console

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Stream is somewhere text goes, and what can be shown there. The zero values of Width and Colour suit a file.
type Stream struct {
	io.Writer
	Terminal bool // a person watches it
	Width    int  // columns; 0 means no limit
	Colour   bool // escape sequences for styles may be written
}

// NewStream says what can be shown on w: w is a terminal when it is an *os.File that is one. getenv is os.Getenv
// or a test's own; see [ColourMode.On] for the variables.
func NewStream(w io.Writer, mode ColourMode, getenv func(string) string) *Stream {
	s := &Stream{Writer: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.Terminal = true
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			s.Width = width
		}
	}
	s.Colour = mode.On(s.Terminal, getenv)
	return s
}

// streamOf returns w itself when it is a Stream, and a plain Stream onto it otherwise.
func streamOf(w io.Writer) *Stream {
	if s, ok := w.(*Stream); ok {
		return s
	}
	return &Stream{Writer: w}
}
