package envoy

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode"
)

// maxProgram bounds a regular expression after compilation: instructions and the ranges of their character classes.
// RE2 in Envoy stops near 350,000 instructions, and compiles each range to several of them.
const maxProgram = 20_000

// checkRegex tells whether RE2 in Envoy takes an expression. Go's package has the same syntax with the exceptions
// looked at here; it is the stricter of the two in the size of repetitions.
func checkRegex(expr string) error {
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		var bad *syntax.Error
		if errors.As(err, &bad) {
			return fmt.Errorf("no RE2 expression: %s: %q", bad.Code, bad.Expr)
		}
		return fmt.Errorf("no RE2 expression: %w", err)
	}
	if escape := unknownEscape(expr); escape != "" {
		return fmt.Errorf("no RE2 expression: unknown escape %q", escape)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return fmt.Errorf("compiling the expression: %w", err)
	}
	size := 0
	for i := range program.Inst {
		size += 1 + len(program.Inst[i].Rune)
	}
	if size > maxProgram {
		return fmt.Errorf("the expression compiles to %d instructions: more than %d", size, maxProgram)
	}
	return nil
}

// unknownEscape finds a \p{Name} or \x{10FFFF} that Go knows and RE2 in Envoy does not: the long names and aliases of
// categories, and what is more than one byte, as Envoy compares bytes.
func unknownEscape(expr string) string {
	for i := 0; i+2 < len(expr); i++ {
		if expr[i] != '\\' {
			continue
		}
		i++ // what is escaped; a second backslash is one too
		if i+1 >= len(expr) || expr[i+1] != '{' {
			continue
		}
		name, _, _ := strings.Cut(expr[i+2:], "}")
		known := true
		switch expr[i] {
		case 'p', 'P':
			bare := strings.TrimPrefix(name, "^")
			_, script := unicode.Scripts[bare]
			known = script || len(bare) <= 2 || bare == "Any"
		case 'x':
			_, err := strconv.ParseUint(name, 16, 8)
			known = err == nil
		}
		if !known {
			return `\` + expr[i:i+2] + name + "}"
		}
	}
	return ""
}
