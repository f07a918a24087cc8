package host

import (
	"path"
	"slices"
	"strings"
)

// wrapper is a program that only prepares another one and runs it in its place.
type wrapper struct {
	values string   // its short options that take a value
	long   []string // its long options that take the next word as their value
	words  int      // how many words of its own stand before the command, such as a user
}

// wrappers returns the wrappers by their names, with their options as their manuals have them.
func wrappers() map[string]wrapper {
	return map[string]wrapper{
		"exec": {values: "a"}, "command": {}, "builtin": {},
		"env": {values: "uCS"}, "nice": {values: "n", long: []string{"adjustment"}}, "ionice": {values: "cnpPu", long: []string{"class", "classdata"}},
		"chrt": {values: "TPD", words: 1}, "taskset": {words: 1}, "numactl": {values: "NCmipP", long: []string{"interleave", "membind", "cpunodebind", "physcpubind", "preferred"}},
		"nohup": {}, "setsid": {}, "time": {values: "fo"}, "timeout": {values: "sk", long: []string{"signal", "kill-after"}, words: 1}, "stdbuf": {values: "ioe", long: []string{"input", "output", "error"}},
		"su-exec": {words: 1}, "gosu": {words: 1}, "setuidgid": {words: 1}, "chroot": {long: []string{"userspec", "groups"}, words: 1},
		"runuser": {values: "ugGsc", long: []string{"user", "group", "supp-group", "shell"}}, "sudo": {values: "ugpCrthDRT", long: []string{"user", "group"}}, "doas": {values: "uC"},
		"setpriv": {long: []string{"reuid", "regid", "ruid", "euid", "rgid", "egid", "groups", "inh-caps", "ambient-caps", "bounding-set", "securebits", "selinux-label", "apparmor-profile"}},
		"tini":    {values: "pe"}, "dumb-init": {values: "r", long: []string{"rewrite"}}, "catatonit": {}, "go-runner": {}, "unshare": {values: "SGRw"}, "nsenter": {values: "tSG"},
	}
}

// skipWrappers returns the index of the program that a command line runs in the end, behind the
// programs that only prepare it, and which variables they set for it. It returns -1 if there is none,
// or if it is not known.
func skipWrappers(words []argument) (at int, env []variable) {
	known := wrappers()
	for at = 0; at < len(words); {
		w, wraps := known[path.Base(words[at].text)]
		switch {
		case !words[at].known:
			return -1, nil
		case !wraps:
			return at, env
		}
		isEnv := path.Base(words[at].text) == "env"
		at = w.skipOptions(words, at+1)
		for ; isEnv && at < len(words) && strings.Contains(words[at].text, "="); at++ {
			name, value, _ := strings.Cut(words[at].text, "=")
			env = append(env, variable{name, value})
		}
		at += w.words
	}
	return -1, nil
}

// skipOptions returns the index of the first word that is no option of the wrapper.
func (w wrapper) skipOptions(words []argument, at int) int {
	for ; at < len(words); at++ {
		text := words[at].text
		long, isLong := strings.CutPrefix(text, "--")
		switch {
		case text == "--":
			return at + 1
		case len(text) < 2 || text[0] != '-' || words[at].many:
			return at
		case isLong:
			if slices.Contains(w.long, long) {
				at++
			}
		case strings.IndexByte(w.values, text[len(text)-1]) >= 0 && strings.IndexAny(text[1:], w.values) == len(text)-2:
			at++ // the last letter takes a value, and it is not in the same word
		}
	}
	return at
}

// shells returns the programs that run a script.
func shells() []string { return []string{"sh", "bash", "dash", "ash", "zsh", "ksh"} }

// scriptOf returns the script that a shell is given on its command line, or the path of the file
// with it, and its arguments, of which the first is its name. argv begins with the shell.
func scriptOf(argv []argument) (script, file string, args []argument) {
	for at := 1; at < len(argv); at++ {
		text := argv[at].text
		switch {
		case !argv[at].known:
			return "", "", nil
		case text == "-o" || text == "+o" || text == "-O" || text == "--rcfile" || text == "--init-file":
			at++
		case len(text) > 1 && text[0] == '-' && text[1] != '-' && strings.ContainsRune(text, 'c'):
			for at++; at < len(argv) && len(argv[at].text) > 1 && argv[at].text[0] == '-'; at++ {
				if argv[at].text == "-o" {
					at++
				}
			}
			if at < len(argv) && argv[at].known {
				return argv[at].text, "", argv[at+1:]
			}
			return "", "", nil
		case text != "" && (text[0] == '-' || text[0] == '+'):
		default:
			return "", text, argv[at:]
		}
	}
	return "", "", nil
}
