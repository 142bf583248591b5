package jinja

// sources lists the places in value_json that a part of a template looks at.
func sources(n node, found *[][]string) {
	if path, ok := place(n); ok {
		*found = append(*found, path)
		return
	}
	for _, part := range partsOfNode(n) {
		if part != nil {
			sources(part, found)
		}
	}
}

// place reads value_json.a['b'].
func place(n node) ([]string, bool) {
	switch n := n.(type) {
	case name:
		return nil, n.name == "value_json"
	case member:
		key, fixed := n.name.(literal)
		path, ok := place(n.of)
		if !ok || !fixed {
			return nil, false
		}
		return append(path, show(key.v)), true
	}
	return nil, false
}

// partsOfNode lists the parts that a part is made of.
func partsOfNode(n node) []node {
	switch n := n.(type) {
	case output:
		return []node{n.expr}
	case branch:
		return append(append([]node{n.test}, n.then...), n.otherwise...)
	case loop:
		return append(append([]node{n.over, n.only}, n.body...), n.none...)
	case assignment:
		return []node{n.value}
	case listing:
		return n.items
	case mapping:
		return append(append([]node{}, n.keys...), n.values...)
	case member:
		return []node{n.of, n.name}
	case part:
		return []node{n.of, n.from, n.to}
	case operation:
		return []node{n.left, n.right}
	case negation:
		return []node{n.of}
	case choice:
		return []node{n.test, n.then, n.otherwise}
	case call:
		return append([]node{n.of}, n.args.values...)
	case filter:
		return append([]node{n.of}, n.args.values...)
	case check:
		return append([]node{n.of}, n.args.values...)
	}
	return nil
}
