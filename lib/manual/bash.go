package manual

import (
	"fmt"
	"strings"
)

// bashLogic is independent of the commands. Readline also splits words at ":" and "=". Here,
// everything between two spaces is one word, and readline replaces only the part after the last of
// these characters.
const bashLogic = `_chunkah_paths() {
    local path
    compopt -o filenames 2>/dev/null
    while IFS= read -r path; do COMPREPLY+=("$path"); done < <(compgen "$1" -- "$2")
}

_chunkah_image() {
    case $1 in
    docker://*) ;;
    dir:* | oci:* | oci-archive:* | docker-archive:*) _chunkah_paths -f "${1#*:}"; prefix= ;;
    *)
        local transport
        for transport in $transports; do
            [[ $transport == "$1"* ]] && COMPREPLY+=("$transport")
        done
        if ((${#COMPREPLY[@]})); then compopt -o nospace 2>/dev/null; else _chunkah_paths -f "$1"; fi
        ;;
    esac
}

_chunkah_value() {
    case $1 in
    image) _chunkah_image "$2" ;;
    file) _chunkah_paths -f "$2" ;;
    folder) _chunkah_paths -d "$2" ;;
    command) COMPREPLY=($(compgen -c -- "$2")) ;;
    words:*) COMPREPLY=($(compgen -W "${1#words:}" -- "$2")) ;;
    esac
}

_chunkah() {
    local line=${COMP_LINE:0:COMP_POINT} words=() glued= i word
    for ((i = 0; i <= COMP_CWORD; i++)); do
        line=${line#"${line%%[![:space:]]*}"}
        word=${COMP_WORDS[i]}
        ((i == COMP_CWORD)) && word=$line
        line=${line#"$word"}
        if [[ $glued ]]; then words[${#words[@]}-1]+=$word; else words+=("$word"); fi
        glued=1
        [[ $line == [[:space:]]* ]] && glued=
    done
    local cur=${words[${#words[@]}-1]} previous=${words[${#words[@]}-2]} prefix= breaks=${COMP_WORDBREAKS//[^:=]/}
    [[ $breaks ]] && prefix=${cur%"${cur##*[$breaks]}"}
    COMPREPLY=()

    local options= operand= subcommands= kind= transports
    local command=${words[0]##*/}
    _chunkah_describe "$command"
    for word in "${words[@]:1:${#words[@]}-2}"; do
        if [[ " $subcommands " == *" $word "* ]]; then
            command+=" $word"
            subcommands=
            _chunkah_describe "$command"
            break
        fi
    done

    if [[ $cur == --*=* ]]; then
        _chunkah_kind "$command" "${cur%%=*}"
        _chunkah_value "$kind" "${cur#*=}"
        [[ $prefix == --*= ]] && prefix=
    elif _chunkah_kind "$command" "$previous"; [[ $kind ]]; then
        _chunkah_value "$kind" "$cur"
    elif [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif [[ $subcommands ]]; then
        COMPREPLY=($(compgen -W "$subcommands" -- "$cur"))
    else
        _chunkah_value "$operand" "$cur"
    fi
    for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=${COMPREPLY[i]#"$prefix"}; done
}
`

// Bash returns the bash completion for the programs. transports are prefixes of image names. A path
// follows each transport that ends with a colon.
func Bash(programs []*Command, transports []string) string {
	var b strings.Builder
	b.WriteString("# Completion of bash for chunkah.\n\n")
	b.WriteString("_chunkah_describe() {\n    transports='" + strings.Join(transports, " ") + "'\n    case $1 in\n")
	for _, c := range everyCommand(programs) {
		var words []string
		for _, o := range c.Options {
			words = append(words, o.names()...)
		}
		fmt.Fprintf(&b, "    %s) options=%s operand=%s", shellQuote(c.Name), shellQuote(strings.Join(words, " ")), shellQuote(bashKind(c.Operand)))
		if len(c.Commands) > 0 {
			fmt.Fprintf(&b, " subcommands=%s", shellQuote(strings.Join(subcommandWords(c), " ")))
		}
		b.WriteString(" ;;\n")
	}
	b.WriteString("    esac\n}\n\n_chunkah_kind() {\n    kind=\n    case \"$1 $2\" in\n")
	for _, c := range everyCommand(programs) {
		for _, o := range c.Options {
			if o.Value == "" {
				continue
			}
			var patterns []string
			for _, n := range o.names() {
				patterns = append(patterns, shellQuote(c.Name+" "+n))
			}
			fmt.Fprintf(&b, "    %s) kind=%s ;;\n", strings.Join(patterns, " | "), shellQuote(bashKind(o.Value)))
		}
	}
	b.WriteString("    esac\n}\n\n" + bashLogic + "\ncomplete -F _chunkah")
	for _, c := range programs {
		b.WriteString(" " + c.Name)
	}
	return b.String() + "\n"
}

// bashKind returns the name that bashLogic uses for the kind of a value.
func bashKind(value string) string {
	switch kindOf(value) {
	case kindNone:
		return ""
	case kindFile:
		return "file"
	case kindFolder:
		return "folder"
	case kindImage:
		return "image"
	case kindCommand:
		return "command"
	case kindChoice:
		return "words:" + strings.ReplaceAll(value, "|", " ")
	}
	return "other"
}

// everyCommand returns the programs and their commands.
func everyCommand(programs []*Command) []*Command {
	var list []*Command
	for _, c := range programs {
		list = append(append(list, c), c.Commands...)
	}
	return list
}

func subcommandWords(c *Command) []string {
	var words []string
	for _, sub := range c.Commands {
		words = append(words, sub.word())
	}
	return words
}

// shellQuote quotes a word for sh, bash and zsh.
func shellQuote(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
