package packages

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestPackageLockMemory reads a package-lock.json of 40 MB: it is decoded package by package, so what is held is
// little more than what comes out.
func TestPackageLockMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short")
	}
	var b strings.Builder
	b.WriteString(`{"name":"big","lockfileVersion":3,"packages":{"":{"dependencies":{"p0":"*"}}`)
	for i := 0; b.Len() < 40<<20; i++ {
		fmt.Fprintf(&b, `,"node_modules/p%d":{"version":"1.0.%d","resolved":"https://registry.npmjs.org/p%d/-/p%d-1.0.tgz","integrity":"sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==","license":"MIT","description":"%0500d","dependencies":{"p%d":"^1"}}`, i, i, i, i, i, i+1)
	}
	b.WriteString("}}")
	content := []byte(b.String())
	b.Reset()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	facts, err := readAs(&lockNPM, "package-lock.json", content)
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	t.Logf("%d packages of %d MB; allocated in all: %d MB; system memory grew by %d MB", len(facts.Packages), len(content)>>20,
		(after.TotalAlloc-before.TotalAlloc)>>20, (after.Sys-before.Sys)>>20)
	if grown := (after.Sys - before.Sys) >> 20; grown > 512 {
		t.Errorf("memory grew by %d MB, want at most 512", grown)
	}
}
