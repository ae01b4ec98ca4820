package advisory

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
)

// sortPackages returns the package table and the places of its bodies in order. It also counts ecosystems.
func (b *builder) sortPackages() (table []byte, places []place) {
	slices.SortStableFunc(b.entries, func(x, y packagePlace) int {
		if x.ecosystem != y.ecosystem {
			return cmp.Compare(b.texts[x.ecosystem], b.texts[y.ecosystem])
		}
		if x.name != y.name {
			return cmp.Compare(b.texts[x.name], b.texts[y.name])
		}
		return 0
	})
	le := binary.LittleEndian
	off := uint64(0)
	counts := &b.summary.Ecosystems
	*counts = []EcosystemCount{}
	for i := 0; i < len(b.entries); {
		first, start := b.entries[i], i
		size := uint64(0)
		for ; i < len(b.entries) && b.entries[i].ecosystem == first.ecosystem && b.entries[i].name == first.name; i++ {
			size += uint64(len(binary.AppendUvarint(nil, uint64(b.entries[i].len)))) + uint64(b.entries[i].len)
			places = append(places, b.entries[i].place)
		}
		table = le.AppendUint32(table, first.ecosystem)
		table = le.AppendUint32(table, first.name)
		table = le.AppendUint64(table, off)
		table = le.AppendUint32(table, uint32(size))
		table = le.AppendUint32(table, uint32(i-start))
		off += size
		if n := len(*counts); n == 0 || (*counts)[n-1].Name != b.texts[first.ecosystem] {
			*counts = append(*counts, EcosystemCount{Name: b.texts[first.ecosystem]})
		}
		(*counts)[len(*counts)-1].Packages++
	}
	return table, places
}

// sortGroups returns the group table, its list, and the group of each record. Groups are numbered by their
// first record; a bundle is a group of its own.
func (b *builder) sortGroups() (table, list []byte, groupOf []uint32) {
	groupOf = make([]uint32, len(b.records))
	byRoot := map[uint32]uint32{}
	var members [][]uint32
	for i, r := range b.records {
		var g uint32
		root := b.groups.find(r.id)
		known := false
		if r.flags&flagBundle == 0 {
			g, known = byRoot[root]
		}
		if !known {
			g = uint32(len(members))
			members = append(members, nil)
			if r.flags&flagBundle == 0 {
				byRoot[root] = g
			}
		}
		members[g] = append(members[g], uint32(i))
		groupOf[i] = g
	}
	le := binary.LittleEndian
	for _, records := range members {
		best := b.records[records[0]].id
		for _, i := range records {
			r := b.records[i]
			for _, name := range append([]uint32{r.id}, r.names...) {
				if r.flags&flagBundle == 0 && betterName(b.texts[name], b.texts[best]) {
					best = name
				}
			}
		}
		table = le.AppendUint32(table, best)
		table = le.AppendUint32(table, uint32(len(list)/listEntry))
		table = le.AppendUint32(table, uint32(len(records)))
		for _, i := range records {
			list = le.AppendUint32(list, i)
		}
	}
	return table, list, groupOf
}

// sortIDs returns the table of names, sorted, and the list of records that carry each.
func (b *builder) sortIDs() (table, list []byte) {
	type carrier struct{ name, record uint32 }
	var carriers []carrier
	for i, r := range b.records {
		carriers = append(carriers, carrier{r.id, uint32(i)})
		for _, name := range r.names {
			carriers = append(carriers, carrier{name, uint32(i)})
		}
	}
	slices.SortFunc(carriers, func(x, y carrier) int {
		if x.name != y.name {
			return cmp.Compare(b.texts[x.name], b.texts[y.name])
		}
		return cmp.Compare(x.record, y.record)
	})
	le := binary.LittleEndian
	for i := 0; i < len(carriers); {
		first, name := i, carriers[i].name
		table = le.AppendUint32(table, name)
		table = le.AppendUint32(table, uint32(first))
		for ; i < len(carriers) && carriers[i].name == name; i++ {
			list = le.AppendUint32(list, carriers[i].record)
		}
		table = le.AppendUint32(table, uint32(i-first))
	}
	return table, list
}

// sortKEV returns the table of the catalogue and its bodies.
func (b *builder) sortKEV() (table, data []byte) {
	le := binary.LittleEndian
	e := encoder{}
	for _, n := range slices.Sorted(maps.Keys(b.kev)) {
		k := b.kev[n]
		start := len(e.b)
		flag := byte(0)
		if k.Ransomware {
			flag = 1
		}
		e.byte(flag)
		e.text(k.Added)
		e.text(k.Due)
		e.text(clip(k.Name, maxSummary))
		table = le.AppendUint64(table, n)
		table = le.AppendUint32(table, uint32(start))
		table = le.AppendUint32(table, uint32(len(e.b)-start))
	}
	return table, e.b
}
