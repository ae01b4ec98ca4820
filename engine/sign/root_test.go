package sign_test

import (
	"testing"

	"github.com/seaworthy-dev/seaworthy/trust/root"
)

func publicGood(t *testing.T) *root.Root {
	t.Helper()
	r, err := root.PublicGood()
	if err != nil {
		t.Fatal(err)
	}
	return r
}
