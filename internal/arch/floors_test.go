package arch

import (
	"bufio"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// anyFloor marks rooms that every floor may use. They stand on the ground floor's shoulders only.
const anyFloor = -1

// room is a row of the floors table.
type room struct {
	floor   int
	pattern string   // a folder, or a folder and "/*" for all below it
	peers   []string // patterns of folders on the same floor that it may import
	outside []string // modules, or packages in them, that it may import; "*" for any
	denied  []string // standard packages ("net"), functions ("time.Now") and statements ("go") it does without
}

// table is the whole of it.
type table []room

// readTable reads the fenced ```floors block of a document.
func readTable(fsys fs.FS, name string) (table, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var rooms table
	inside := false
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "```floors":
			inside = true
		case strings.HasPrefix(line, "```"):
			inside = false
		case inside && line != "":
			r, err := readRoom(line)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, n, err)
			}
			for _, other := range rooms {
				if other.pattern == r.pattern {
					return nil, fmt.Errorf("%s:%d: %s is there twice", name, n, r.pattern)
				}
			}
			rooms = append(rooms, r)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(rooms) == 0 {
		return nil, fmt.Errorf("%s has no ```floors table", name)
	}
	return rooms, nil
}

func readRoom(line string) (room, error) {
	column := strings.Fields(line)
	if len(column) != 5 {
		return room{}, fmt.Errorf("want 5 columns and not %d in %q", len(column), line)
	}
	r := room{floor: anyFloor, pattern: column[1], peers: list(column[2]), outside: list(column[3]), denied: list(column[4])}
	if column[0] == "any" {
		return r, nil
	}
	floor, err := strconv.Atoi(column[0])
	if err != nil || floor < 0 {
		return room{}, fmt.Errorf("%q is no floor", column[0])
	}
	r.floor = floor
	return r, nil
}

func list(s string) []string {
	if s == "-" {
		return nil
	}
	return strings.Split(s, ",")
}

// of returns the row that speaks of a folder: its own, or else the longest pattern that covers it.
func (t table) of(folder string) (room, bool) {
	best := room{}
	for _, r := range t {
		if covers(r.pattern, folder) && (r.pattern == folder || best.pattern != folder && len(r.pattern) > len(best.pattern)) {
			best = r
		}
	}
	return best, best.pattern != ""
}

// covers reports whether a pattern means a folder. "a/*" means everything below a, and not a itself.
func covers(pattern, folder string) bool {
	if above, ok := strings.CutSuffix(pattern, "/*"); ok {
		return strings.HasPrefix(folder, above+"/")
	}
	return pattern == folder
}

// house is a module with its table, ready to be judged.
type house struct {
	module string
	table  table
	files  []source
}

// judge returns everything in the house that the table does not allow, one line each.
//
// Test files are held to less: they may use any outside module and standard package, and packages beside their
// own; but not what is above.
func (h house) judge() []string {
	var wrong []string
	imports := map[string][]string{} // folder to folders of ours, test files apart
	reaches := map[string][]string{} // folder to standard packages, test files apart
	for _, file := range h.files {
		from, ok := h.table.of(file.folder)
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s: no row of the floors table covers the folder %s", file.name, file.folder))
			continue
		}
		if !file.test {
			wrong = append(wrong, deniedUses(file, from)...)
		}
		for _, imported := range file.imports {
			target, ours := h.folderOf(imported.path)
			if !file.test && ours {
				imports[file.folder] = append(imports[file.folder], target)
			} else if !file.test {
				reaches[file.folder] = append(reaches[file.folder], imported.path)
			}
			why := ""
			if ours {
				why = h.refuseOurs(file, from, target)
			} else {
				why = refuseOther(file, from, imported.path)
			}
			if why != "" {
				wrong = append(wrong, fmt.Sprintf("%s:%d: import of %s: %s", file.name, imported.line, imported.path, why))
			}
		}
	}
	return append(wrong, h.detours(imports, reaches)...)
}

// folderOf returns the folder of a package of this module.
func (h house) folderOf(imported string) (string, bool) {
	if imported == h.module {
		return ".", true
	}
	return strings.CutPrefix(imported, h.module+"/")
}

func (h house) refuseOurs(file source, from room, target string) string {
	to, ok := h.table.of(target)
	below := target == file.folder || strings.HasPrefix(target, file.folder+"/")
	switch {
	case !ok:
		return "no row of the floors table covers it"
	case below && file.folder != ".", to.floor == anyFloor:
		return ""
	case from.floor == anyFloor:
		if to.floor == 0 {
			return ""
		}
		return fmt.Sprintf("upwards: every floor may use %s, so it may not use floor %d", from.pattern, to.floor)
	case to.floor < from.floor, to.floor == from.floor && file.test:
		return ""
	case to.floor > from.floor:
		return fmt.Sprintf("upwards: from floor %d to floor %d", from.floor, to.floor)
	}
	if slices.ContainsFunc(from.peers, func(peer string) bool { return covers(peer, target) }) {
		return ""
	}
	return fmt.Sprintf("sideways: both are on floor %d, and %s is granted no such neighbour", from.floor, from.pattern)
}

func refuseOther(file source, from room, imported string) string {
	if imported == "C" {
		return "cgo is not used here"
	}
	if file.test {
		return ""
	}
	if standard(imported) {
		if slices.Contains(from.denied, imported) {
			return fmt.Sprintf("%s does without it", from.pattern)
		}
		return ""
	}
	for _, granted := range from.outside {
		if granted == "*" || imported == granted || strings.HasPrefix(imported, granted+"/") {
			return ""
		}
	}
	return fmt.Sprintf("outside: %s is not granted this module", from.pattern)
}

// standard reports whether a package is of the standard library: those have no dot in their first element.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// deniedUses finds calls and statements the table denies.
func deniedUses(file source, from room) []string {
	var wrong []string
	for _, use := range file.uses {
		if slices.Contains(from.denied, use.what) {
			wrong = append(wrong, fmt.Sprintf("%s:%d: %s: %s does without it", file.name, use.line, use.what, from.pattern))
		}
	}
	return wrong
}

// detours finds denied standard packages that are reached through other packages of ours.
func (h house) detours(imports, reaches map[string][]string) []string {
	var wrong []string
	for _, folder := range sorted(imports) {
		from, _ := h.table.of(folder)
		if len(from.denied) == 0 {
			continue
		}
		via := map[string]string{folder: ""} // each folder seen, and from where
		for queue := []string{folder}; len(queue) > 0; queue = queue[1:] {
			at := queue[0]
			for _, next := range imports[at] {
				if _, seen := via[next]; !seen {
					via[next] = at
					queue = append(queue, next)
				}
			}
			if at == folder {
				continue // said already, with its line
			}
			for _, denied := range from.denied {
				if slices.Contains(reaches[at], denied) {
					wrong = append(wrong, fmt.Sprintf("%s reaches %s, which %s does without, through %s",
						folder, denied, from.pattern, trail(via, at)))
				}
			}
		}
	}
	return wrong
}

func trail(via map[string]string, at string) string {
	steps := []string{at}
	for via[at] != "" && via[via[at]] != "" {
		at = via[at]
		steps = append(steps, at)
	}
	slices.Reverse(steps)
	return path.Clean(steps[0]) + strings.Join(append([]string{""}, steps[1:]...), " and ")
}
