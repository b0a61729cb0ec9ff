//! Expressions as trees, no deeper than [`MAX_DEPTH`](super::MAX_DEPTH): evaluating or dropping one can't exhaust the stack.

use super::bounds::check_depth;
use super::error::{Problem, quoted};
use super::number::Number;
use super::token::{Token, Tokens};

#[derive(Debug)]
pub(super) enum Expr<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(&'a str),
    Name(&'a str),
    List(Vec<Expr<'a>>),
    Map(Vec<(&'a str, Expr<'a>)>),
    Unary(&'static str, Box<Expr<'a>>),
    Binary(Box<Expr<'a>>, &'static str, Box<Expr<'a>>),
    Index(Box<Expr<'a>>, Box<Expr<'a>>),
    Slice(Box<Expr<'a>>, Option<Box<Expr<'a>>>, Option<Box<Expr<'a>>>),
    Field(Box<Expr<'a>>, &'a str),
    Call(Box<Expr<'a>>, Vec<Expr<'a>>),
}

/// Binary operators, from those that bind least.
const BINARY: &[&[&str]] =
    &[&["||"], &["&&"], &["in"], &["==", "!="], &["<", ">", "<=", ">="], &["+", "-"], &["*", "/"], &["**"]];

/// The whole of `source` as one expression.
pub(super) fn parse(source: &str) -> Result<Expr<'_>, Problem> {
    let mut parser = Parser::new(source)?;
    let tree = parser.expression(0)?;
    match parser.token {
        Token::End => Ok(tree.expr),
        _ => Err(parser.unexpected()),
    }
}

/// The expression that `source` begins with, up to the `}` that ends it, and the offset behind that.
pub(super) fn parse_to_brace(source: &str) -> Result<(Expr<'_>, usize), Problem> {
    let mut parser = Parser::new(source)?;
    let tree = parser.expression(0)?;
    match parser.token {
        Token::Symbol("}") => Ok((tree.expr, parser.start + 1)),
        Token::End => Err(Problem::Syntax("unterminated ${..} expression".to_owned())),
        _ => Err(parser.unexpected()),
    }
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    /// The token that is looked at, and where it begins.
    token: Token<'a>,
    start: usize,
    /// How many expressions are being read around the current one.
    depth: u32,
}

/// An expression and the depth of its tree.
struct Tree<'a> {
    expr: Expr<'a>,
    depth: u32,
}

impl<'a> Tree<'a> {
    fn leaf(expr: Expr<'a>) -> Self {
        Self { expr, depth: 0 }
    }

    /// A node over what is at most `below` deep.
    fn over(below: u32, expr: Expr<'a>) -> Result<Self, Problem> {
        let depth = below + 1;
        check_depth(depth)?;
        Ok(Self { expr, depth })
    }
}

impl<'a> Parser<'a> {
    fn new(source: &'a str) -> Result<Self, Problem> {
        let mut tokens = Tokens::new(source);
        let (token, start) = tokens.next()?;
        Ok(Self { tokens, token, start, depth: 0 })
    }

    fn advance(&mut self) -> Result<(), Problem> {
        (self.token, self.start) = self.tokens.next()?;
        Ok(())
    }

    fn take(&mut self, symbol: &str) -> Result<bool, Problem> {
        let there = matches!(self.token, Token::Symbol(found) if found == symbol);
        if there {
            self.advance()?;
        }
        Ok(there)
    }

    fn expect(&mut self, symbol: &str) -> Result<(), Problem> {
        if self.take(symbol)? { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> Problem {
        let found = match self.token {
            Token::Number(text) | Token::Name(text) | Token::Text(text) => quoted(text),
            Token::Symbol(symbol) => symbol.to_owned(),
            Token::End => return Problem::Syntax("Unexpected end of input".to_owned()),
        };
        Problem::Syntax(format!("Found: {found} token, which can't be here"))
    }

    /// Operators of `level` and those that bind more; `**` groups to the right, all others to the left.
    fn expression(&mut self, level: usize) -> Result<Tree<'a>, Problem> {
        self.depth += 1;
        check_depth(self.depth)?;
        let mut left = self.access()?;
        while let Token::Symbol(symbol) = self.token
            && let Some(found) = BINARY.iter().position(|symbols| symbols.contains(&symbol))
            && found >= level
        {
            self.advance()?;
            let right = self.expression(if symbol == "**" { found } else { found + 1 })?;
            let below = left.depth.max(right.depth);
            left = Tree::over(below, Expr::Binary(left.expr.into(), symbol, right.expr.into()))?;
        }
        self.depth -= 1;
        Ok(left)
    }

    /// A value with what follows it: `.name`, `[index]`, `[from:to]`, `(arguments)`.
    fn access(&mut self) -> Result<Tree<'a>, Problem> {
        let mut value = self.unit()?;
        loop {
            value = if self.take(".")? {
                let Token::Name(name) = self.token else { return Err(self.unexpected()) };
                self.advance()?;
                Tree::over(value.depth, Expr::Field(value.expr.into(), name))?
            } else if self.take("[")? {
                self.brackets(value)?
            } else if self.take("(")? {
                let (arguments, depth) = self.items(")")?;
                Tree::over(value.depth.max(depth), Expr::Call(value.expr.into(), arguments))?
            } else {
                return Ok(value);
            };
        }
    }

    fn brackets(&mut self, value: Tree<'a>) -> Result<Tree<'a>, Problem> {
        let from = if matches!(self.token, Token::Symbol(":")) { None } else { Some(self.expression(0)?) };
        if self.take(":")? {
            let to = if matches!(self.token, Token::Symbol("]")) { None } else { Some(self.expression(0)?) };
            self.expect("]")?;
            let depth_of = |tree: &Option<Tree<'_>>| tree.as_ref().map_or(0, |tree| tree.depth);
            let below = value.depth.max(depth_of(&from)).max(depth_of(&to));
            let boxed = |tree: Option<Tree<'a>>| tree.map(|tree| Box::new(tree.expr));
            return Tree::over(below, Expr::Slice(value.expr.into(), boxed(from), boxed(to)));
        }
        self.expect("]")?;
        let Some(index) = from else { return Err(self.unexpected()) };
        Tree::over(value.depth.max(index.depth), Expr::Index(value.expr.into(), index.expr.into()))
    }

    fn unit(&mut self) -> Result<Tree<'a>, Problem> {
        let token = self.token;
        match token {
            Token::End => return Err(self.unexpected()),
            Token::Symbol("(") => {
                self.advance()?;
                let tree = self.expression(0)?;
                self.expect(")")?;
                return Ok(tree);
            }
            Token::Symbol("[") => {
                self.advance()?;
                let (items, depth) = self.items("]")?;
                return Tree::over(depth, Expr::List(items));
            }
            Token::Symbol("{") => return self.map(),
            Token::Symbol(sign @ ("!" | "-" | "+")) => return self.unary(sign),
            Token::Number(_) | Token::Name(_) | Token::Text(_) | Token::Symbol(_) => {}
        }
        let leaf = match token {
            Token::Number(digits) => Number::parse(digits)
                .map(Expr::Number)
                .ok_or_else(|| Problem::Syntax(format!("{} is too large", quoted(digits))))?,
            Token::Name(name) => Expr::Name(name),
            Token::Text(text) => Expr::Text(text),
            Token::Symbol("null") => Expr::Null,
            Token::Symbol("true") => Expr::Bool(true),
            Token::Symbol("false") => Expr::Bool(false),
            Token::Symbol(_) | Token::End => return Err(self.unexpected()),
        };
        self.advance()?;
        Ok(Tree::leaf(leaf))
    }

    /// A sign binds more than `.`, `[…]` and `(…)`: `!a.b` is `(!a).b`, in every implementation of JSON-e.
    fn unary(&mut self, sign: &'static str) -> Result<Tree<'a>, Problem> {
        self.depth += 1;
        check_depth(self.depth)?;
        self.advance()?;
        let operand = self.unit()?;
        self.depth -= 1;
        Tree::over(operand.depth, Expr::Unary(sign, operand.expr.into()))
    }

    /// Expressions with commas between them, up to `close`, and the depth of the deepest.
    fn items(&mut self, close: &str) -> Result<(Vec<Expr<'a>>, u32), Problem> {
        let (mut items, mut depth) = (Vec::new(), 0);
        if self.take(close)? {
            return Ok((items, depth));
        }
        loop {
            let item = self.expression(0)?;
            depth = depth.max(item.depth);
            items.push(item.expr);
            if self.take(close)? {
                return Ok((items, depth));
            }
            self.expect(",")?;
        }
    }

    fn map(&mut self) -> Result<Tree<'a>, Problem> {
        let (mut fields, mut depth) = (Vec::new(), 0);
        self.advance()?;
        // A comma may follow the last field, as elsewhere in JSON-e.
        while let Token::Name(key) | Token::Text(key) = self.token {
            self.advance()?;
            self.expect(":")?;
            let value = self.expression(0)?;
            depth = depth.max(value.depth);
            fields.push((key, value.expr));
            if !self.take(",")? {
                break;
            }
        }
        self.expect("}")?;
        Tree::over(depth, Expr::Map(fields))
    }
}
