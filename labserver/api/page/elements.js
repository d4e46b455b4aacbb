// Elements of the page. All text goes in as text: nothing that the service or a user says is ever read as HTML.

function build(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);

/** An HTML element with attributes and children (elements or strings). */
export const element = (tag, attributes = {}, ...children) => build(document.createElement(tag), attributes, children);

/** The same for SVG. */
export const svg = (tag, attributes = {}, ...children) =>
  build(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

/** Text that says what a picture or symbol beside it shows. */
export const unseen = (text) => element("span", { class: "unseen" }, text);

/** Put text or one element into a node, if it is not there already: an unchanged page keeps selections and focus. */
export function write(node, content) {
  if (content instanceof Node) {
    if (!(node.childNodes.length === 1 && node.firstChild.isEqualNode(content))) node.replaceChildren(content);
  } else if (node.textContent !== content || node.firstElementChild) {
    node.textContent = content;
  }
}

/**
 * A table whose rows are kept from one update to the next.
 *
 * Columns are objects: `title`; `cell(item)` gives text or an element; `head` marks the cell that names the row;
 * `numeric` aligns digits; on a phone `wide` takes a line of its own and `minor` is left out. Roles are spelled out
 * because the style sheet turns rows into blocks there, which makes some browsers forget that they are rows.
 */
export class Table {
  constructor(table, columns, key) {
    this.table = table;
    this.columns = columns;
    this.key = key;
    this.rows = new Map();
    table.hidden = true;
    this.body = element("tbody", { role: "rowgroup" });
    const titles = columns.map((column) =>
      element("th", { scope: "col", role: "columnheader", class: classes(column) }, column.title));
    table.setAttribute("role", "table");
    table.append(element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...titles)), this.body);
  }

  update(items) {
    this.table.hidden = items.length === 0;
    const rows = new Map(items.map((item) => [this.key(item), item]));
    for (const [key, row] of this.rows) {
      if (!rows.has(key)) {
        row.remove();
        this.rows.delete(key);
      }
    }
    let place = 0;
    for (const [key, item] of rows) {
      if (!this.rows.has(key)) this.rows.set(key, this.row());
      const row = this.rows.get(key);
      if (this.body.children[place] !== row) this.body.insertBefore(row, this.body.children[place] ?? null);
      this.columns.forEach((column, i) => write(row.children[i], column.cell(item)));
      place += 1;
    }
  }

  row() {
    const cells = this.columns.map((column) => {
      const attributes = { class: classes(column), "data-title": column.title };
      return column.head
        ? element("th", { scope: "row", role: "rowheader", ...attributes })
        : element("td", { role: "cell", ...attributes });
    });
    return element("tr", { role: "row" }, ...cells);
  }
}

const classes = (column) =>
  ["numeric", "wide", "minor"].filter((name) => column[name]).join(" ") || null;
