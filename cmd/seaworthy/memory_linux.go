package main

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// forgetStart gives back the pages of the program's own file that starting needed and nothing else does: half of its
// code and tables were touched once. What is needed again comes back from the kernel's cache of the file.
//
// Mappings that are or were written to are left alone, as those of a program that is relocated when it starts.
func forgetStart() {
	name, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer maps.Close()
	var own mapping
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		line := lines.Text()
		switch field, value, _ := strings.Cut(line, ":"); {
		case field == "Anonymous": // pages that are not the file's any more
			if own.size > 0 && strings.Fields(value)[0] == "0" {
				_, _, _ = unix.Syscall(unix.SYS_MADVISE, own.start, own.size, unix.MADV_DONTNEED) // or they stay
			}
		case strings.HasSuffix(line, " "+name):
			own = readOnly(line)
		case strings.Contains(field, "-"): // another mapping begins
			own = mapping{}
		}
	}
}

// mapping is a piece of memory.
type mapping struct{ start, size uintptr }

// readOnly reads the first line of a mapping in /proc/self/smaps (proc_pid_smaps(5)); the size of one that can be
// written to is 0.
func readOnly(line string) mapping {
	words := strings.Fields(line)
	if len(words) < 2 || strings.Contains(words[1], "w") {
		return mapping{}
	}
	from, to, _ := strings.Cut(words[0], "-")
	start, err1 := strconv.ParseUint(from, 16, 64)
	end, err2 := strconv.ParseUint(to, 16, 64)
	if err1 != nil || err2 != nil || end <= start {
		return mapping{}
	}
	return mapping{uintptr(start), uintptr(end - start)}
}
