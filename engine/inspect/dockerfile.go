package inspect

import (
	"bufio"
	"io"
	"regexp"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// maxDockerfile bounds a Dockerfile: 4 MiB, and instructions beyond maxInstructions are not matched.
const (
	maxDockerfile   = 4 << 20
	maxInstructions = 2000
)

// MapDockerfile names for each layer the instruction of a Dockerfile that made it. Nothing is built or
// executed: the image's history and the instructions of the file's last stage are laid side by side in order,
// by kind and by text. An instruction whose text differs (arguments were expanded, say) but whose place and kind
// fit is marked as a guess. Errors: Invalid, TooLarge.
func (r *Report) MapDockerfile(file io.Reader) error {
	all, err := parseDockerfile(file)
	if err != nil {
		return err
	}
	var made []instruction // by the last stage, and by nothing before it
	for _, in := range all {
		if in.kind == "FROM" {
			made = made[:0]
			continue
		}
		made = append(made, in)
	}
	if len(made) == 0 {
		return seaworthy.Errorf(seaworthy.Invalid, "its last stage has no instructions")
	}
	lines := r.Steps
	if len(lines) == 0 { // an image without history: its layers in order are all there is
		for i := range r.Layers {
			lines = append(lines, Step{CreatedBy: r.Layers[i].CreatedBy, Layer: r.Layers[i].Number})
		}
	}
	steps := make([]instruction, len(lines))
	for i, l := range lines {
		steps[i] = historyInstruction(l.CreatedBy)
	}
	for step, at := range align(tail(steps), tail(made)) {
		l := lines[len(lines)-len(tail(steps))+step].Layer
		in := tail(made)[at]
		if l > 0 {
			r.Layers[l-1].Dockerfile = &DockerfileLine{Line: in.line, Instruction: in.text, Guess: likeness(&tail(steps)[step], &in) < sameText}
		}
	}
	return nil
}

func tail(in []instruction) []instruction { return in[max(0, len(in)-maxInstructions):] }

// instruction is one line of a Dockerfile or of a history, as far as they can be compared.
type instruction struct {
	line int    // first line in the file, from 1
	kind string // RUN, COPY …
	text string // as written, continuation lines joined
	norm string // what is compared
}

var (
	spaces     = regexp.MustCompile(`\s+`)
	buildFlags = regexp.MustCompile(`^(--[a-z]+(=\S+)?\s+)+`)
	buildArgs  = regexp.MustCompile(`^\|\d+ .*?(/bin/sh -c )`)
	heredoc    = regexp.MustCompile(`<<-?\s*['"]?([A-Za-z_][A-Za-z0-9_]*)['"]?`)
	keyword    = regexp.MustCompile(`^[A-Za-z]+(\s|$)`)
)

// parseDockerfile reads instructions with their line numbers: comments, continuation lines under either escape
// character, and here-documents (Dockerfile reference, "Parser directives", "Here-Documents").
func parseDockerfile(file io.Reader) ([]instruction, error) {
	limited := &io.LimitedReader{R: file, N: maxDockerfile + 1}
	in := bufio.NewScanner(limited)
	in.Buffer(nil, maxDockerfile+1)
	var (
		all        []instruction
		text       strings.Builder
		start      int
		escape     = `\`
		directives = true
		docs       []string // here-documents being read
	)
	flush := func() {
		if joined := strings.TrimSpace(text.String()); joined != "" {
			all = append(all, newInstruction(start, joined))
		}
		text.Reset()
	}
	for n := 1; in.Scan(); n++ {
		line := strings.TrimRight(in.Text(), " \t\r")
		trimmed := strings.TrimSpace(line)
		if len(docs) > 0 {
			text.WriteString("\n" + line)
			if trimmed == docs[0] {
				if docs = docs[1:]; len(docs) == 0 {
					flush()
				}
			}
			continue
		}
		if strings.HasPrefix(trimmed, "#") {
			if value, ok := strings.CutPrefix(strings.ToLower(strings.ReplaceAll(trimmed, " ", "")), "#escape="); ok && directives && value == "`" {
				escape = "`"
			}
			continue
		}
		if trimmed == "" {
			continue
		}
		directives = false
		if text.Len() == 0 {
			start = n
		} else {
			text.WriteByte(' ')
		}
		body, more := strings.CutSuffix(line, escape)
		text.WriteString(strings.TrimSpace(body))
		if more {
			continue
		}
		for _, m := range heredoc.FindAllStringSubmatch(text.String(), -1) {
			docs = append(docs, m[1])
		}
		if len(docs) == 0 {
			flush()
		}
	}
	flush()
	if limited.N <= 0 {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "it has more than %d bytes", maxDockerfile)
	}
	if err := in.Err(); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading it")
	}
	for _, in := range all {
		if !keyword.MatchString(in.text) {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "line %d: %q is no instruction", in.line, clip(in.text))
		}
	}
	return all, nil
}

func newInstruction(line int, text string) instruction {
	kind, rest, _ := strings.Cut(text, " ")
	in := instruction{line: line, kind: strings.ToUpper(strings.TrimSpace(kind)), text: text}
	if k, r, ok := strings.Cut(text, "\n"); ok && !strings.Contains(k, " ") {
		in.kind, rest = strings.ToUpper(k), r
	}
	in.norm = normalise(in.kind, rest)
	return in
}

// historyInstruction reads what builders write into created_by: "RUN /bin/sh -c x # buildkit",
// "/bin/sh -c #(nop) COPY dir:… in /x", "|1 ARG=v /bin/sh -c x", "COPY a /b # buildkit".
func historyInstruction(createdBy string) instruction {
	text := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(createdBy), "# buildkit"))
	text = buildArgs.ReplaceAllString(text, "$1")
	if nop, ok := strings.CutPrefix(text, "/bin/sh -c #(nop)"); ok {
		return newInstruction(0, strings.TrimSpace(nop))
	}
	if shell, ok := strings.CutPrefix(text, "/bin/sh -c "); ok {
		return newInstruction(0, "RUN "+shell)
	}
	if run, ok := strings.CutPrefix(text, "RUN "); ok {
		run = buildArgs.ReplaceAllString(run, "$1")
		return newInstruction(0, "RUN "+strings.TrimPrefix(run, "/bin/sh -c "))
	}
	return newInstruction(0, text)
}

func normalise(kind, rest string) string {
	rest = buildFlags.ReplaceAllString(strings.TrimSpace(rest), "")
	rest = spaces.ReplaceAllString(rest, " ")
	switch kind {
	case "COPY", "ADD":
		rest = strings.Replace(rest, " in ", " ", 1) // what the classic builder puts before the destination
	case "CMD", "ENTRYPOINT":
		rest = strings.NewReplacer(`["/bin/sh" "-c" "`, "", `[`, "", `]`, "", `"`, "", `,`, "").Replace(rest)
	case "ENV", "LABEL", "ARG":
		rest = strings.ReplaceAll(rest, `"`, "")
	}
	return strings.TrimSpace(rest)
}

// How alike a line of history and an instruction are; 0 means they cannot be the same.
const (
	sameKind = 1
	sameEnd  = 3 // the same destination, or the same first words
	sameText = 8
)

func likeness(step, in *instruction) int {
	if step.kind != in.kind {
		return 0
	}
	if step.norm == in.norm {
		return sameText
	}
	a, b := strings.Fields(step.norm), strings.Fields(in.norm)
	if len(a) > 0 && len(b) > 0 {
		switch in.kind {
		case "COPY", "ADD":
			if strings.TrimRight(a[len(a)-1], "/") == strings.TrimRight(b[len(b)-1], "/") {
				return sameEnd
			}
		default:
			if a[0] == b[0] && (len(a) == 1 || len(b) == 1 || a[1] == b[1]) {
				return sameEnd
			}
		}
	}
	return sameKind
}

// align pairs steps with instructions, both in order, so that the sum of their likenesses is largest; among
// equals the pairs lie as late as possible, because a base image's history comes first.
func align(steps, made []instruction) map[int]int {
	best := make([][]int, len(steps)+1)
	for i := range best {
		best[i] = make([]int, len(made)+1)
	}
	for i := 1; i <= len(steps); i++ {
		for j := 1; j <= len(made); j++ {
			b := max(best[i-1][j], best[i][j-1])
			if l := likeness(&steps[i-1], &made[j-1]); l > 0 {
				b = max(b, best[i-1][j-1]+l)
			}
			best[i][j] = b
		}
	}
	pairs := map[int]int{}
	for i, j := len(steps), len(made); i > 0 && j > 0; {
		l := likeness(&steps[i-1], &made[j-1])
		switch {
		case l > 0 && best[i][j] == best[i-1][j-1]+l:
			pairs[i-1] = j - 1
			i, j = i-1, j-1
		case best[i][j] == best[i-1][j]:
			i--
		default:
			j--
		}
	}
	return pairs
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// Only returns the report with a single layer, by its number; 0 means all.
func (r *Report) Only(layer int) *Report {
	if layer == 0 {
		return r
	}
	one := *r
	one.Layers = r.Layers[layer-1 : layer]
	return &one
}
