package main

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestForgetStart(t *testing.T) {
	before := filePages(t)
	forgetStart()
	if after := filePages(t); after >= before {
		t.Errorf("the program has %d kB of its file in memory, and had %d before", after, before)
	}
}

// filePages is how much of files this process has in memory, in kB.
func filePages(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssFile:")
	n, err := strconv.Atoi(strings.Fields(rest + " ?")[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestReadOnlyMapping(t *testing.T) {
	for line, want := range map[string]mapping{
		"00400000-02400000 r-xp 00000000 fe:00 9994262                            /bin/seaworthy": {0x400000, 0x2000000},
		"02400000-04b08000 r--p 02000000 fe:00 9994262                            /bin/seaworthy": {0x2400000, 0x2708000},
		"04b08000-04d07000 rw-p 04708000 fe:00 9994262                            /bin/seaworthy": {},
		"": {}, "x": {}, "1-0 r--p": {}, "-5 r--p": {}, "5 r--p": {}, "g-h r--p": {},
	} {
		if got := readOnly(line); got != want {
			t.Errorf("%q: %x, want %x", line, got, want)
		}
	}
}
