//! stub
#![allow(missing_docs, clippy::all)]
use std::time::Duration;
#[derive(Debug)] pub struct Chain; #[derive(Debug)] pub struct Stretch; #[derive(Debug)] pub struct Limiter;
#[derive(Clone,Copy,PartialEq,Default,Debug)] pub struct Timescale;
#[derive(Debug)] pub struct Rack;
pub struct Rendered{pub frames:usize,pub consumed:usize}
impl Rack{pub fn new()->Self{Rack} pub fn replace(&mut self,c:Option<Chain>)->Option<Chain>{c} pub fn process(&mut self,_:&mut [f32]){} pub fn take_spent(&mut self)->Option<Chain>{None} pub fn is_neutral(&self)->bool{true} pub fn is_fading(&self)->bool{false} pub fn tail(&self)->u32{0}}
impl Stretch{pub fn set(&mut self,_:Timescale){} pub fn reset(&mut self){} pub fn held(&self)->u64{0} pub fn speed(&self)->f64{1.0}
pub fn render(&mut self,_:&mut [f32],_:&mut dyn FnMut(&mut [f32])->usize,_:bool)->Rendered{Rendered{frames:0,consumed:0}}}
impl Limiter{pub fn process(&mut self,_:&mut [f32]){} pub fn delay(&self)->usize{0}}
