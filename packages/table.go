package packages

// Table is the list of all recognisers. Their order is that of Joins; it decides nothing else.
var Table = []Recogniser{
	// The operating system and its packages.
	osRelease,
	dpkg,
	apk,
	rpm,

	// Language packages, installed.
	npm,
	python,
	gem,
	jar,

	// Binaries that carry their module list.
	binaries,

	// Lock files and manifests.
	lockNPM,
	lockPython,
	lockGo,
	lockCargo,
	lockRuby,
	lockMaven,
	lockComposer,
	lockNuGet,
	lockTerraform,
	lockActions,
	lockPub,
	lockSwift,
	lockGradle,
	lockBazel,
	lockJulia,
	lockDeno,
	lockMix,
}
