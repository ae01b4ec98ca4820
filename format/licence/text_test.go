package licence

import (
	"strings"
	"testing"
)

const mitText = `Copyright (c) 2020 Somebody

 * Permission is hereby granted, free of charge, to any person obtaining a copy
 * of this software and associated documentation files (the "Software"), to deal in the Software without
 * restriction. The above copyright notice and this permission notice shall be
 * included in all copies or substantial portions of the Software.`

const bsdText = `Redistribution and use in source and binary forms, with or without
modification, are permitted provided that: 1. Redistributions of source code must retain the above
copyright notice, this list of conditions and the following disclaimer. 2. Redistributions in binary form must reproduce the above copyright notice. `

func TestFromText(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"mit", mitText, "MIT"},
		{"bsd2", bsdText, "BSD-2-Clause"},
		{"bsd3", bsdText + "3. Neither the name of X may be used to endorse or promote products derived from this software", "BSD-3-Clause"},
		{"bsd4", bsdText + "3. All advertising materials mentioning features or use of this software must display the following", "BSD-4-Clause"},
		{"both", mitText + "\n" + bsdText, "BSD-2-Clause AND MIT"},
		{"isc", "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that the above copyright notice and this permission notice appear in all copies. THE SOFTWARE ... LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION", "ISC"},
		{"apache notice", "// Licensed under the Apache License, Version 2.0 (the \"License\");\n", "Apache-2.0"},
		{"gpl notice", "you can redistribute it and/or modify it under the terms of the GNU General Public License as published by the Free Software Foundation; either version 2 of the License, or (at your option) any later version.", "GPL-2.0-or-later"},
		{"gpl notice, only", "redistribute it and/or modify it under the terms of the GNU General Public License as published by the FSF; version 3.", "GPL-3.0-only"},
		{"lgpl notice", "redistribute it and/or modify it under the terms of the GNU Lesser General Public License as published by the Free Software Foundation; either version 2.1 of the License, or (at your option) any later version.", "LGPL-2.1-or-later"},
		{"common", "On Debian systems, the licence is in `/usr/share/common-licenses/LGPL-2.1'.", "LGPL-2.1-only"},
		{"unlicense", "This is free and unencumbered software released into the public domain.", "Unlicense"},
		{"prose", "You have permission to look at this and to copyright your dreams.", ""},
		{"empty", "", ""},
	} {
		got := FromText([]byte(c.text))
		if got != c.want {
			t.Errorf("%s: FromText = %q, want %q", c.name, got, c.want)
		}
		if got != "" && !Valid(got) {
			t.Errorf("%s: %q is not valid", c.name, got)
		}
	}
	if got := Normalise(mitText + strings.Repeat(" ", maxName)); got != "MIT" {
		t.Errorf("Normalise of a whole text: %q", got)
	}
}

func FuzzFromText(f *testing.F) {
	f.Add([]byte(mitText))
	f.Add([]byte(bsdText))
	f.Add([]byte("licence /usr/share/common-licenses/GPL-2 redistribute it and/or modify it under the terms of the GNU General Public License version 2"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got := FromText(b); got != "" && !Valid(got) {
			t.Fatalf("FromText(%q) = %q, which is not valid", b, got)
		}
	})
}
