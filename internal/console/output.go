package console

import (
	"io"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// Output is one wish of the person: a format, and where it goes.
type Output struct {
	Format string
	File   string // "-" for stdout
}

// Outputs is the flag -o FORMAT[=FILE], which may be given more than once: "-o table -o json=bill.json". It is a
// pflag.Value, so a format that is not offered is a usage error before any work begins.
type Outputs struct {
	offered []string
	chosen  []Output
}

// NewOutputs offers formats; the first is what a person gets who asks for none. It panics without any.
func NewOutputs(formats ...string) *Outputs {
	if len(formats) == 0 {
		panic("console: outputs without a format")
	}
	return &Outputs{offered: formats}
}

// Offered lists the formats, the default first.
func (o *Outputs) Offered() []string { return o.offered }

// Chosen lists what was asked for, or the default format to stdout.
func (o *Outputs) Chosen() []Output {
	if len(o.chosen) == 0 {
		return []Output{{Format: o.offered[0], File: "-"}}
	}
	return o.chosen
}

// Has reports whether a format was chosen.
func (o *Outputs) Has(format string) bool {
	return slices.ContainsFunc(o.Chosen(), func(out Output) bool { return out.Format == format })
}

// String implements pflag.Value.
func (o *Outputs) String() string {
	specs := make([]string, len(o.chosen))
	for i, out := range o.chosen {
		specs[i] = out.Format
		if out.File != "-" {
			specs[i] += "=" + out.File
		}
	}
	return strings.Join(specs, " ")
}

// Type implements pflag.Value.
func (*Outputs) Type() string { return "format[=file]" }

// Set implements pflag.Value: it adds one output. Errors: Usage, for a format that is not offered, an empty file
// name, a second output to stdout or to the same file.
func (o *Outputs) Set(spec string) error {
	format, file, toFile := strings.Cut(spec, "=")
	if !slices.Contains(o.offered, format) {
		if near := Nearest(format, o.offered); near != "" {
			return seaworthy.Errorf(seaworthy.Usage, "there is no format %q here", format).
				WithHint("did you mean %s? All formats: %s", near, strings.Join(o.offered, ", "))
		}
		return seaworthy.Errorf(seaworthy.Usage, "there is no format %q here", format).
			WithHint("the formats are: %s", strings.Join(o.offered, ", "))
	}
	switch {
	case !toFile:
		file = "-"
	case file == "":
		return seaworthy.Errorf(seaworthy.Usage, "%q names no file", spec).
			WithHint("write %s=FILE, or %s alone for stdout", format, format)
	}
	for _, other := range o.chosen {
		if other.File != file {
			continue
		}
		if file == "-" {
			return seaworthy.Errorf(seaworthy.Usage, "%s and %s cannot both go to stdout", other.Format, format).
				WithHint("give one of them a file: -o %s=FILE", format)
		}
		return seaworthy.Errorf(seaworthy.Usage, "%s and %s cannot both go to %q", other.Format, format, file)
	}
	o.chosen = append(o.chosen, Output{Format: format, File: file})
	return nil
}

// Write calls render once for each chosen output. A file appears, or replaces what was there, only when render
// has returned without error: nobody ever sees half of it. It stops at the first error.
// Errors: Storage, and those of render.
func (o *Outputs) Write(stdout io.Writer, render func(format string, w io.Writer) error) error {
	for _, out := range o.Chosen() {
		if out.File == "-" {
			if err := render(out.Format, stdout); err != nil {
				return err
			}
			continue
		}
		err := WriteFile(out.File, func(w io.Writer) error { return render(out.Format, w) })
		if err != nil {
			return err
		}
	}
	return nil
}
