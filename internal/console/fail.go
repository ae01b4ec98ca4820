package console

import (
	"fmt"
	"io"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// Failure is an error as JSON: {"error":{"code","message","hint"}}.
type Failure struct {
	Error FailureDetail `json:"error"`
}

// FailureDetail is what went wrong. Code is from the closed list of seaworthy.Code.
type FailureDetail struct {
	Code    seaworthy.Code `json:"code"`
	Message string         `json:"message"`
	Hint    string         `json:"hint,omitempty"`
}

// PrintError tells a person what went wrong, in one line and, where there is something to try, a second that
// starts with "hint: ". With asJSON it writes a Failure instead. A nil err prints nothing.
func PrintError(w io.Writer, err error, asJSON bool) {
	if err == nil {
		return
	}
	message := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ") // errors.Join puts one on each line
	code, hint := seaworthy.CodeOf(err), seaworthy.HintOf(err)
	if asJSON {
		// If stderr itself fails there is nobody left to tell; the exit status still says it.
		_ = JSON(w, Failure{FailureDetail{Code: code, Message: message, Hint: hint}})
		return
	}
	s := streamOf(w)
	fmt.Fprintf(s, "%s %s\n", s.Paint(Red, "seaworthy:"), Escape(message))
	if hint != "" {
		fmt.Fprintf(s, "%s %s\n", s.Paint(Cyan, "hint:"), Escape(hint))
	}
}
