package source

import (
	"math"
	"strconv"
	"strings"
)

// resolveScalar gives a plain scalar its type by the core schema of YAML 1.2.2 (section 10.3.2): no yes, no, on, off,
// no dates, no numbers with underscores or base 60, octal only as 0o17. ok is false for what JSON cannot hold.
func (n *Node) resolveScalar(text string) (ok bool) {
	n.Kind, n.Text = StringNode, text
	switch text {
	case "", "~", "null", "Null", "NULL":
		n.Kind = NullNode
		return true
	case "true", "True", "TRUE":
		n.Kind, n.integer = BoolNode, 1
		return true
	case "false", "False", "FALSE":
		n.Kind = BoolNode
		return true
	}
	if c := text[0]; c != '-' && c != '+' && c != '.' && (c < '0' || c > '9') {
		return true
	}
	return n.resolveNumber(text)
}

func (n *Node) resolveNumber(text string) (ok bool) {
	if base, digits := coreBase(text); base != 0 {
		if v, err := strconv.ParseInt(digits, base, 64); err == nil {
			n.Kind, n.integer = IntNode, v
			return true
		}
	}
	if isCoreFloat(text) {
		if v, err := strconv.ParseFloat(text, 64); err == nil {
			n.Kind, n.number = FloatNode, v
			return !math.IsInf(v, 0)
		}
		return false // a number too large for JSON's readers
	}
	switch strings.ToLower(strings.TrimLeft(text, "+-")) {
	case ".inf":
		return false
	case ".nan":
		return text[0] != '.'
	}
	return true
}

// coreBase gives the base and the digits of an integer of the core schema, 0 for anything else.
func coreBase(text string) (base int, digits string) {
	base, digits = 10, text
	switch {
	case strings.HasPrefix(text, "0x"):
		base, digits = 16, text[2:]
	case strings.HasPrefix(text, "0o"):
		base, digits = 8, text[2:]
	}
	bare := digits
	if base == 10 {
		bare = unsigned(digits)
	}
	if bare == "" || strings.ContainsAny(bare, "+-_") {
		return 0, ""
	}
	return base, digits
}

// isCoreFloat tells [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
func isCoreFloat(text string) bool {
	mantissa := unsigned(text)
	if i := strings.IndexAny(mantissa, "eE"); i >= 0 {
		exponent := unsigned(mantissa[i+1:])
		if exponent == "" || !onlyDigits(exponent) {
			return false
		}
		mantissa = mantissa[:i]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	return whole+fraction != "" && onlyDigits(whole) && onlyDigits(fraction)
}

// unsigned takes one sign away.
func unsigned(text string) string {
	if text != "" && (text[0] == '-' || text[0] == '+') {
		return text[1:]
	}
	return text
}

func onlyDigits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}
