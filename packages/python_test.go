package packages

import "testing"

const site = "usr/lib/python3/dist-packages/"

var pythonTree = map[string]string{
	site + "Foo_Bar-1.0.dist-info/METADATA": "Metadata-Version: 2.4\nName: Foo_Bar\nVersion: 1.0\nSummary: two\n        lines\nLicense-Expression: MIT\n" +
		"Author-email: \"Ann, B\" <ann@example.org>\nProject-URL: Homepage, https://example.org\nRequires-Dist: six (>=1.0)\n" +
		"Requires-Dist: idna<4,>=2.5; python_version < \"4\"\nRequires-Dist: chardet; extra == 'all'\n\nRequires-Dist: not-a-header\n",
	site + "Foo_Bar-1.0.dist-info/RECORD": "foo_bar/__init__.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n" +
		"../../../bin/foo,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\nFoo_Bar-1.0.dist-info/RECORD,,\nfoo_bar/__pycache__/x.pyc,,\n",
	site + "Foo_Bar-1.0.dist-info/INSTALLER":                                 "pip\n",
	site + "Foo_Bar-1.0.dist-info/REQUESTED":                                 "",
	site + "Foo_Bar-1.0.dist-info/direct_url.json":                           `{"url":"https://u:secret@example.org/foo.git?token=x","vcs_info":{"vcs":"git","commit_id":"abc"}}`,
	site + "six-1.16.0.egg-info/PKG-INFO":                                    "Metadata-Version: 2.1\nName: six\nVersion: 1.16.0\nLicense: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n",
	site + "idna-3.3.egg-info":                                               "Name: idna\nVersion: 3.3\nLicense: BSD-3-Clause\n",
	"usr/local/lib/python3.11/dist-packages/chardet-5.egg-info/PKG-INFO":     "Name: chardet\nVersion: 5\n",
	"usr/local/lib/python3.11/dist-packages/chardet-5.egg-info/requires.txt": "six>=1\n\n[x:python_version<'3']\nidna\n",
	"venv/lib/python3/site-packages/six-1.0.dist-info/METADATA":              "Name: six\nVersion: 1.0\n",
	site + "setuptools-66.dist-info/METADATA":                                "Name: setuptools\nVersion: 66\n",
	site + "setuptools/_vendor/tomli-2.dist-info/METADATA":                   "Name: tomli\nVersion: 2\n",
	site + "x/tests/data/y-1.dist-info/METADATA":                             "Name: y\nVersion: 1\n",
	site + "bad-1.dist-info/METADATA":                                        "Name: bad\n",
	site + "out-1.dist-info/METADATA":                                        "Name: out\nVersion: 1\n",
	site + "out-1.dist-info/RECORD":                                          "../../../../../etc/passwd,,\n",
}

func TestPython(t *testing.T) {
	j := installed(python, pythonTree)
	same(t, "packages", purlsAt(j), []string{
		"pkg:pypi/chardet@5 usr/local/lib/python3.11/dist-packages/chardet-5.egg-info/PKG-INFO",
		"pkg:pypi/foo-bar@1.0 " + site + "Foo_Bar-1.0.dist-info/METADATA",
		"pkg:pypi/idna@3.3 " + site + "idna-3.3.egg-info",
		"pkg:pypi/out@1 " + site + "out-1.dist-info/METADATA",
		"pkg:pypi/setuptools@66 " + site + "setuptools-66.dist-info/METADATA",
		"pkg:pypi/six@1.0 venv/lib/python3/site-packages/six-1.0.dist-info/METADATA",
		"pkg:pypi/six@1.16.0 " + site + "six-1.16.0.egg-info/PKG-INFO",
		"pkg:pypi/tomli@2 " + site + "setuptools/_vendor/tomli-2.dist-info/METADATA",
	})
	same(t, "edges", edges(j), []string{
		"pkg:pypi/chardet@5 dependsOn pkg:pypi/idna@3.3 optional",
		"pkg:pypi/chardet@5 dependsOn pkg:pypi/six@1.16.0",
		"pkg:pypi/foo-bar@1.0 dependsOn pkg:pypi/chardet@5 optional",
		"pkg:pypi/foo-bar@1.0 dependsOn pkg:pypi/idna@3.3",
		"pkg:pypi/foo-bar@1.0 dependsOn pkg:pypi/six@1.16.0",
		"pkg:pypi/setuptools@66 contains pkg:pypi/tomli@2",
	})
	foo := one(t, j, "pkg:pypi/foo-bar@1.0")
	if foo.Name != "Foo_Bar" || foo.Licences.Declared != "MIT" || foo.Homepage != "https://example.org" || !foo.Direct ||
		foo.HashOf != "installed-files" || len(foo.Files) != 4 || foo.Files[1].Path != "usr/bin/foo" ||
		foo.Property(pythonInstaller) != "pip" || foo.Download != "git+https://example.org/foo.git@abc" {
		t.Errorf("foo: %+v", foo)
	}
	if six := one(t, j, "pkg:pypi/six@1.16.0"); six.Licences.Declared != "MIT" {
		t.Errorf("six: %+v", six)
	}
	if len(j.Problems) != 2 {
		t.Errorf("problems: %+v", j.Problems)
	}
}

func TestPythonMarkers(t *testing.T) {
	for marker, want := range map[string]bool{
		`extra == "x"`: true, `python_version < "3"`: false, `(os_name == "nt" or x == "y") and extra == 'z'`: true,
		`os_name == "nt" or extra == "z"`: false, `extra=="x" and python_version>"3"`: true,
	} {
		if got := pythonExtra(marker); got != want {
			t.Errorf("%s: optional %v, want %v", marker, got, want)
		}
	}
}

func FuzzPython(f *testing.F) {
	var seeds []string
	for _, s := range pythonTree {
		seeds = append(seeds, s)
	}
	fuzzRead(f, python, []string{
		"s/x.dist-info/METADATA", "s/x.dist-info/RECORD", "s/x.dist-info/direct_url.json", "s/x.egg-info/requires.txt",
		"s/x.egg-info", "x.dist-info/INSTALLER", "s/x.egg-info/installed-files.txt",
	}, seeds...)
}
